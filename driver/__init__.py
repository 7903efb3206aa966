"""The driver: runs a study over clusters of growing size, one Job an image, and accounts for every pull.

It reaches a cluster only through its API and a provider, and starts the collector as a user does, as a command.
It never decodes a watch of events, never measures with its own clock, and never touches what it did not make or label.
"""
