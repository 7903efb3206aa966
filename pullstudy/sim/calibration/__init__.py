"""The model held against the real logs."""
