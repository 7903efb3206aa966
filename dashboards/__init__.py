"""Grafana dashboards and alert rules, generated from the layout of the points that the sink writes.

Reads what the store's layout says. Only ``fill`` and ``push`` talk to a server; what panels show, Grafana asks for itself.
"""
