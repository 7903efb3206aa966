"""A simulated cluster: the Kubernetes REST API on loopback, and a model of image pulls behind it, in virtual time.

It is reached only over HTTP, as a real cluster is: nothing here imports a client, a decoder, a store or the driver,
and nothing here ever claims to be real (a cluster's name starts with ``sim-``).
"""
