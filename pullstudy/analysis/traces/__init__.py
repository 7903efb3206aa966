"""Pulls as traces: spans from the moments that are known, and the formats in which other tools take them."""
