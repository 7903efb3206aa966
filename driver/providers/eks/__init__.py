"""Clusters on EKS: a stack with network and roles, a control plane, a managed node group, and the way back to nothing.

What is about to be made is in the handle, with its tags, before AWS is asked for it. Nothing is touched that does not
bear the tags of its own run, and nothing is believed to be gone because a list failed.
"""
