"""What was read and is not yet known to be stored, on disk. It knows no cluster and no store."""
