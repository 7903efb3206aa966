"""Figures of many values: quantiles, lines, intervals, comparisons. Nothing here reads or draws."""
