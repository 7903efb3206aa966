"""``python -m pullstudy.sim``."""

from pullstudy.sim.cli import main

main()
