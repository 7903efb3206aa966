"""A kubelet's configuration as its /configz shows it (kubelet.config.k8s.io/v1beta1)."""

from typing import Any

from pullstudy.sim.model.parameters import KubeletSettings, KubeletTimes


def configz(settings: KubeletSettings, times: KubeletTimes) -> dict[str, Any]:
    config: dict[str, Any] = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "registryPullQPS": settings.registry_pull_qps,
        "registryBurst": settings.registry_burst,
        "serializeImagePulls": settings.serialize_image_pulls,
        "eventRecordQPS": settings.event_record_qps,
        "eventBurst": settings.event_burst,
        "imageMinimumGCAge": "2m0s",
        "imageMaximumGCAge": "0s",
        "imageGCHighThresholdPercent": 85,
        "imageGCLowThresholdPercent": 80,
        "nodeStatusUpdateFrequency": f"{times.image_report_seconds:.0f}s",
        "cgroupDriver": "systemd",
        "maxPods": 110,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    }
    if settings.max_parallel_image_pulls is not None:
        config["maxParallelImagePulls"] = settings.max_parallel_image_pulls
    return {"kubeletconfig": config}
