"""Where records are kept and asked for: the Store protocol and its embedded form, one SQLite file a study.

Knows only the vocabulary. Never changes a record, never decides what a record means.
"""
