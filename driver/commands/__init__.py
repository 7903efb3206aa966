"""The commands of ``pulldriver``: each turns words of the command line into one call, and its answer into lines."""
