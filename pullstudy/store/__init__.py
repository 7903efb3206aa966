"""Where records are kept and asked for: the Store protocol, its embedded form and InfluxDB; and the driver's ledger.

Knows only the vocabulary. Never changes a record, never decides what a record means.
"""
