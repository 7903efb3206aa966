"""The port: requests and streams, and the simulator's own side of it."""
