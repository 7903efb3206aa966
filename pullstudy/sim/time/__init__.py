"""Virtual time, and what makes it run."""
