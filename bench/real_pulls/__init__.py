"""Real pulls of containerd built by the test stack, traced by the collector: what the stages say, held against what
is known. Needs root: ``python -m bench.real_pulls --help``."""
