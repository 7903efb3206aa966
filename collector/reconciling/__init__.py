"""Pod status held against events: the pulls that no event reported. It never makes up a duration."""
