"""Records in InfluxDB 2: the layout of points, line protocol, queries, and one bucket as a Store."""
