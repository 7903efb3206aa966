"""The way to the Kubernetes API: a client, its errors, the watch protocol, and the loop around it."""
