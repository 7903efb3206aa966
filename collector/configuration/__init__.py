"""Flags, environment and file, in that order, as settings. It starts nothing."""
