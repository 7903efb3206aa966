"""Fake nodes on a real API server: kwok plays their kubelets, by stages that emit a kubelet's events.

Nothing is pulled: the delays are the simulator's model's, and clusters' names begin with ``kwok-``.
"""
