"""Where records are kept and asked for: the Store protocol, its embedded form (one SQLite file a study, with the driver's
ledger) and InfluxDB.

Knows only the vocabulary. Never changes a record, never decides what a record means.
"""
