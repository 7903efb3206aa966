"""What the records mean: phases, critical paths, stragglers, similarity of images, exports, the report and comparisons.

Reads a study's store and writes files beside it. Never talks to a cluster, and never changes a record.
"""
