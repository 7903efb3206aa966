"""The report: one page that works offline, its figures, and the words in it."""
