"""The golden corpus: every message around an image pull, by the Kubernetes versions that wrote it.

Formats as collected in docs/events.md. Each row: a name, the
event's reason and message, and what must come out. ``None`` stands for "the message does not tell".
"""

from typing import NamedTuple

X = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-1176249324-bytes"


class Row(NamedTuple):
    name: str
    reason: str
    message: str
    outcome: str
    image: str | None = X
    pull_seconds: float | None = None
    waiting_seconds: float | None = None
    image_bytes: int | None = None
    error: str | None = None


PULLS = [
    Row("before 1.20", "Pulled", f'Successfully pulled image "{X}"', "pulled"),
    Row(
        "1.20, which includes waiting",
        "Pulled",
        f'Successfully pulled image "{X}" in 9.722063481s',
        "pulled",
        X,
        9.722063481,
    ),
    Row(
        "1.26 and its backports, EKS 1.27.16",
        "Pulled",
        f'Successfully pulled image "{X}" in 1m48.634041526s (1m48.634062111s including waiting)',
        "pulled",
        X,
        108.634041526,
        20585e-9,
    ),
    Row(
        "1.28, truncated to milliseconds",
        "Pulled",
        f'Successfully pulled image "{X}" in 796ms (1.594s including waiting)',
        "pulled",
        X,
        0.796,
        0.798,
    ),
    Row(
        "1.30, with the size",
        "Pulled",
        f'Successfully pulled image "{X}" in 1h2m3.5s (1h2m3.5s including waiting). Image size: 113010021 bytes.',
        "pulled",
        X,
        3723.5,
        0.0,
        113010021,
    ),
    Row(
        "size 0, which the kubelet writes where it could not ask",
        "Pulled",
        f'Successfully pulled image "{X}" in 15µs (15µs including waiting). Image size: 0 bytes.',
        "pulled",
        X,
        15e-6,
        0.0,
    ),
    Row("zero", "Pulled", f'Successfully pulled image "{X}" in 0s (0s including waiting)', "pulled", X, 0.0, 0.0),
    Row("nanoseconds", "Pulled", f'Successfully pulled image "{X}" in 12ns', "pulled", X, 12e-9),
    Row("hours", "Pulled", f'Successfully pulled image "{X}" in 1h0m5s', "pulled", X, 3605.0),
    Row("negative, as after a clock step", "Pulled", f'Successfully pulled image "{X}" in -1.5s', "pulled", X, -1.5),
    Row("cached", "Pulled", f'Container image "{X}" already present on machine', "cached"),
    Row(
        "cached, with KubeletEnsureSecretPulledImages",
        "Pulled",
        f'Container image "{X}" already present on machine and can be accessed by the pod',
        "cached",
    ),
    Row(
        "failed, rate limited",
        "Failed",
        f'Failed to pull image "{X}": rpc error: code = Unknown desc = failed to pull and unpack image "{X}": failed to'
        " copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests",
        "failed",
        error=f'rpc error: code = Unknown desc = failed to pull and unpack image "{X}": failed to copy: httpReadSeeker:'
        " failed open: unexpected status code 429 Too Many Requests",
    ),
    Row("failed, QPS", "Failed", f'Failed to pull image "{X}": pull QPS exceeded', "failed", error="pull QPS exceeded"),
    Row(
        "failed over two lines",
        "Failed",
        f'Failed to pull image "{X}": [first\nsecond]',
        "failed",
        error="[first\nsecond]",
    ),
    Row("back-off", "BackOff", f'Back-off pulling image "{X}"', "backoff"),
    Row(
        "back-off with the cause, as 1.32's pod status",
        "BackOff",
        f'Back-off pulling image "{X}": ErrImagePull: not found',
        "backoff",
        error="ErrImagePull: not found",
    ),
    Row(
        "never pull",
        "ErrImageNeverPull",
        f'Container image "{X}" is not present with pull policy of Never',
        "failed",
        error=f'Container image "{X}" is not present with pull policy of Never',
    ),
    Row(
        "invalid name",
        "InspectFailed",
        'Failed to apply default image tag "UPPER/case": couldn\'t parse image name "UPPER/case":'
        " invalid reference format",
        "failed",
        "UPPER/case",
        error='couldn\'t parse image name "UPPER/case": invalid reference format',
    ),
    Row("inspection failed", "InspectFailed", f'Failed to inspect image "{X}": boom', "failed", error="boom"),
    Row(
        "inspection failed, empty name of recent code",
        "InspectFailed",
        'Failed to inspect image "": boom',
        "failed",
        None,
        error="boom",
    ),
    Row(
        "pause image",
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image"
        ' "registry.k8s.io/pause:3.9": failed to pull image "registry.k8s.io/pause:3.9": 403 Forbidden',
        "failed",
        "registry.k8s.io/pause:3.9",
        error='failed to pull image "registry.k8s.io/pause:3.9": 403 Forbidden',
    ),
    Row(
        "a quoted name with Go's escapes",
        "Pulled",
        'Successfully pulled image "a\\"b\\u00e9" in 1s',
        "pulled",
        'a"bé',
        1.0,
    ),
]

# reason, message, moment
LIFECYCLE = [
    ("Pulling", f'Pulling image "{X}"', "pulling"),
    ("Pulling", f'pulling image "{X}"', "pulling"),
    ("Created", "Created container container-pull", "created"),
    ("Created", "Created container: container-pull", "created"),
    ("Created", "Container created", "created"),
    ("Started", "Started container container-pull", "started"),
    ("Started", "Container started", "started"),
    ("Scheduled", "Successfully assigned default/container-pull-0-xhjfv to node-1", "scheduled"),
]

# reason, message: told beside a failure that has its own event
ECHOES = [
    ("Failed", f"Error: {word}")
    for word in (
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
]

# reason, message: about images or the job, but no attempt
NOTICES = [
    ("ImageStreaming", "Image ghcr.io/x@sha256:ab is backed by image streaming."),
    (
        "ImageStreaming",
        "Image ghcr.io/x@sha256:ab is backed by secondary boot disk caching by 0.0% (0/13 layers),"
        " by image streaming by 100.0% (13/13 layers).",
    ),
    (
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
    ),
    ("ImageGCFailed", "failed to get image stats"),
    (
        "FreeDiskSpaceFailed",
        "failed to garbage collect required amount of images. Wanted to free 10 bytes, but freed 0 bytes",
    ),
    (
        "FreeDiskSpaceFailed",
        "Failed to garbage collect required amount of images. Attempted to free 10 bytes,"
        " but only found 0 bytes eligible to free.",
    ),
    ("EvictionThresholdMet", "Attempting to reclaim ephemeral-storage"),
    (
        "Evicted",
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0. "
        "Container c was using 5, request is 0, has larger consumption of ephemeral-storage. ",
    ),
    ("InvalidDiskCapacity", "invalid capacity 0 on image filesystem"),
    ("BackoffLimitExceeded", "Job has reached the specified backoff limit"),
    ("DeadlineExceeded", "Job was active longer than specified deadline"),
]

# reason, message: the same reasons used for other matters
OTHERS = [
    ("Failed", "Error: host IP unknown; known addresses: []"),
    ("Failed", 'Error: failed to create containerd task: exec: "nope": not found'),
    ("BackOff", "Back-off restarting failed container container-pull in pod container-pull-0-xhjfv"),
    ("Killing", "Stopping container container-pull"),
    ("FailedScheduling", "0/4 nodes are available: 4 Insufficient cpu."),
    ("FailedScheduling", "no nodes available to schedule pods"),
    ("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: network plugin not ready"),
    ("FailedCreate", "Error creating: forbidden"),
    ("SuccessfulCreate", "(combined from similar events): Created pod: container-pull-9-z2vj7"),
]

# reason, message: nobody knows these
UNKNOWN = [
    ("Pulled", "Image fetched by magic"),
    ("Pulling", "Summoning image"),
    ("Failed", "Could not do it"),
    ("BackOff", "Resting"),
    ("InspectFailed", "inspection went wrong"),
]
