"""A study read whole, from its directory or its buckets."""
