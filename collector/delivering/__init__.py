"""From the spool to a bus or a store, and from the bus to the store: acknowledged before it is forgotten."""
