"""Records in one SQLite file a study, and the driver's ledger beside them."""
