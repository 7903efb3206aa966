"""``python -m driver``: what ``pulldriver`` is."""

from driver.cli import main

if __name__ == "__main__":
    main()
