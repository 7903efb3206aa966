"""An existing cluster as a provider: some of its nodes, marked for a run by a label, and unmarked after it.

It never makes or deletes a node, and never touches what it did not label.
"""
