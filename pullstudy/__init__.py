"""Pullstudy: how long Kubernetes nodes take to pull container images, why, and how that grows with the cluster.

``pulls`` is the vocabulary that all packages share; ``kube`` is the way to the Kubernetes API; ``store`` and ``bus``
keep and carry records; ``sim`` is a simulated cluster; ``analysis`` says what the records mean. The commands that
users type are built on them in ``collector``, ``driver`` and ``dashboards``.
"""
