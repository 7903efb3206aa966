"""A simulated cluster: the Kubernetes REST API on loopback, and a model of image pulls behind it, in virtual time.

From the bottom to the top: ``time`` is virtual; ``model`` says how long a pull takes; ``api`` keeps objects as an API
server does; ``events`` are recorded as client-go records them; ``control`` and ``node`` change the objects, as
controllers and kubelets do; ``faults`` make them misbehave; ``cluster`` puts all of it together, ``http`` answers
requests, and ``run`` is the process. pyproject.toml holds this order as a contract.

It is reached only over HTTP, as a real cluster is: nothing here imports a client, a decoder, a store or the driver,
and nothing here ever claims to be real (a cluster's name starts with ``sim-``).
"""
