"""The daemon: watches a cluster's events, keeps what they tell of pulls on disk, and hands it to a store.

The way through it: ``api`` (bytes from the API server) -> ``watch`` (list, watch, for ever; the rules are in
``watch_protocol``) -> ``intake`` (bytes to records) -> ``spool`` (on disk, with the version that they bring) ->
``delivery`` (to the store, then acknowledged). ``daemon`` puts the stages together; ``vitals`` is what they show.

It never changes the cluster, never drops an event for its age, and never counts a version as read before the
records that came with it are on disk.
"""
