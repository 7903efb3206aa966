"""The names by which the study's own objects in a cluster are found again."""

MANAGED_BY = {"app.kubernetes.io/managed-by": "pulldriver"}  # on everything that the driver makes in a cluster
JOB_LABEL = "pullstudy/job"  # on pods: the Job or DaemonSet of the driver that they are of
CONTAINER = "pull"  # the one of a study's pod
