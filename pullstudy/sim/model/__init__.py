"""How long a pull takes: layers, network, page cache and volume, in documented parameters."""
