"""``python -m collector``: what ``collector`` is."""

from collector.cli import main

if __name__ == "__main__":
    main()
