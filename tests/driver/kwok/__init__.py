"""Fake nodes, without a server."""
