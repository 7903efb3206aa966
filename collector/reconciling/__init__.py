"""Pod status as the second witness: the pulls that no event told of. It never makes up a duration."""
