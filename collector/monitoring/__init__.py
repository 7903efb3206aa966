"""What the collector says of itself: counters, conditions, and the endpoints that show them. It changes nothing."""
