"""A simulated cluster: the Kubernetes REST API on loopback, and a model of image pulls behind it, in virtual time.

``http`` answers requests from what ``api`` keeps; ``control`` and ``node`` change it, as controllers and kubelets do;
``model`` says how long a pull takes; ``events`` are recorded as client-go records them; ``faults`` make it misbehave;
``time`` is virtual. ``cluster`` puts them together, ``truth`` keeps what really happened.

It is reached only over HTTP, as a real cluster is: nothing here imports a client, a decoder, a store or the driver,
and nothing here ever claims to be real (a cluster's name starts with ``sim-``).
"""
