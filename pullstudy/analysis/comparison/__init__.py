"""``pulldriver compare``: two studies read, compared, and told. What is concluded is in findings."""
