"""The commands of ``pulldriver``: each module turns words of the command line into one call, and its answer into lines."""
