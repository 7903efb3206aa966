"""``python -m driver.providers.kwok.kubelets CLUSTER FILE``; the cluster's name is there to be found by."""

import sys

from driver.providers.kwok.kubelets.run import main

sys.exit(main(sys.argv[2]))
