"""Fake nodes on a real API server: kwok keeps them alive, and the simulator's kubelets play their pods.

Nothing is pulled: the delays are the simulator's model's, and clusters' names begin with ``kwok-``.
"""
