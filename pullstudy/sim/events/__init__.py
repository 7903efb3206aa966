"""How events come into being: recorders as client-go has them, and the registry that keeps events for a while."""
