"""The commands of ``collector``: each turns words of the command line into one call, and its answer into lines."""
