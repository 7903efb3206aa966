"""Where the records of a sweep go, and what the driver adds to them."""
