"""``python -m dashboards``: in a checkout, what ``pulldriver dashboards`` is elsewhere."""

import sys

from driver.cli import run

if __name__ == "__main__":
    sys.exit(run(["dashboards", *sys.argv[1:]]))
