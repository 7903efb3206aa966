"""The daemon: watches a cluster's events, keeps what they tell of pulls on disk, and hands it to a store.

The way through it is the way through its packages: ``sources`` (list and watch, for ever; bytes to records) ->
``spooling`` (on disk, with the position that they bring) -> ``delivering`` (to a bus or a store, then acknowledged; the
sink goes on from the bus). ``reconciling`` holds pods' status against what was watched; ``monitoring`` shows how all of
them are; ``configuration`` reads what the user set, and ``checks`` tries it. ``daemon`` puts the stages together.
Anything that brings batches with a position is a source (``sources.source``): a cluster's events and its pods are two.

It never changes the cluster, never drops an event for its age, and never counts a version as read before the
records that came with it are on disk.
"""
