"""Trials of the product's conclusions against a known truth: what was so, what was said, how often that was right."""
