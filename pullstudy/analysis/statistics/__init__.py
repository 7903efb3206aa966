"""Figures of many values: quantiles, straight lines, intervals, tests. They know nothing of pulls."""
