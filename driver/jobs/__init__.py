"""One job of a sweep: made, watched, accounted for, deleted."""
