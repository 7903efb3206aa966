"""What a whole study shows: growth with the cluster, stragglers, clock offsets, write-back, cost, similar images."""
