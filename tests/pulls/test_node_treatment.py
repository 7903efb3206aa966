"""What labels and taints say was done to a node."""

from pullstudy.pulls.node_treatment import is_treatment, lasting_taints, treatments


def test_labels_that_change_how_a_node_pulls_are_told_in_words() -> None:
    assert treatments(
        {
            "cloud.google.com/gke-ephemeral-storage-local-ssd": "true",
            "cloud.google.com/gke-nodepool": "default-pool",
            "cloud.google.com.node-restriction.kubernetes.io/gke-secondary-boot-disk-cache": "CONTAINER_IMAGE_CACHE.p",
        }
    ) == ("local SSD: true", "secondary boot disk: cache=CONTAINER_IMAGE_CACHE.p")


def test_taints_that_come_and_go_by_themselves_are_no_treatment() -> None:
    given = ["nvidia.com/gpu=present:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"]
    assert lasting_taints(given) == ("nvidia.com/gpu=present:NoSchedule",)


def test_names_of_an_environment_that_mark_a_treatment_are_told_from_others() -> None:
    names = [
        "treatments",
        "taints",
        "provider.volume_type",
        "configz.containerd.snapshotter",
        "kubelet",
        "instance_type",
    ]
    assert [name for name in names if is_treatment(name)] == names[:4]
