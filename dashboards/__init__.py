"""Grafana dashboards, generated from the schema that the sink writes.

So far the columns of each measurement, by name; the dashboards themselves are to come. Reads what the store's layout
says, and never talks to InfluxDB or Prometheus itself: Grafana does.
"""
