"""One cluster of a sweep, from nothing to nothing: brought up by a provider, watched, described, taken down."""
