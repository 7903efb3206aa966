"""What the commands end with: docs and every ``--help`` name these codes."""

DONE = 0
FAILED = 1  # what was done is kept
WRONG_USE = 2
CANNOT_TELL = 3  # of what --fail-if or --slo ask
INTERRUPTED = 130  # by Ctrl-C, after what was begun was ended in order
