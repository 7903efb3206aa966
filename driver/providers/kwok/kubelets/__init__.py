"""The kubelets of fake nodes: the simulator's, on pods of a real API server, in real time.

A process of its own, so that what driver and collector cost stays theirs alone. It registers the nodes, takes the pods
that the scheduler bound to them, and writes what a kubelet writes: pod status, events, images. It pulls nothing.
"""
