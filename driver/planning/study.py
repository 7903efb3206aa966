"""``study.toml``: the images, sizes and conditions of a study. docs/study.md explains every key.

Unknown keys are errors, since a misspelt key would silently run another study.
"""

from collections import Counter
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from driver.errors import UsageError
from driver.planning.eks_plan import EksPlan, Mode
from driver.planning.seed_images import REPOSITORY, SEED, TAGS
from driver.planning.study_file import read_study_file
from driver.planning.wrong_key import explain_mistake, near_word
from pullstudy.pulls.image_size import ImageSize
from pullstudy.pulls.kubernetes_names import label_key_fault, label_value_fault, reference_fault, subdomain_fault
from pullstudy.pulls.sizes import SizesError, parse_sizes
from pullstudy.sim.model.model_file import CALIBRATION, check_model, parse_model
from pullstudy.sim.model.parameters import PROFILES, Changes, ParametersError
from pullstudy.store.destination import Destination

# Source: Kubernetes' RFC 1123 label; 40 leaves room for the provider's prefix and the size.
_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Label = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=40)]
Namespace = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=63)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Order(StrEnum):
    """The order of the jobs at one size."""

    SEQUENTIAL = "sequential"  # all repeats of an image, then the next image
    INTERLEAVED = "interleaved"  # every image once, then all of them again
    RANDOM = "random"  # shuffled by the seed, anew for each size


class Profile(StrEnum):
    """Whose measured times the simulator takes."""

    EKS = "eks"
    EKS_GP2 = "eks-gp2"
    GKE_PD = "gke-pd"
    GKE_LOCAL_SSD = "gke-local-ssd"
    GKE_STREAMING = "gke-streaming"
    GKE = "gke"


class Stages(StrEnum):
    """Which pulls of the simulator's nodes tell of their stages and layers."""

    NONE = "none"
    SOME = "some"  # of each image those of as many nodes as have 384 layers of it in all, and of three at least
    ALL = "all"


class CacheMode(StrEnum):
    """What happens to the nodes' image caches between jobs."""

    COLD = "cold"  # cleared and confirmed before each job
    WARM = "warm"  # left as they are; each job's records say what its nodes held


class OnFailure(StrEnum):
    """What a failed job means for the rest of the sweep."""

    CONTINUE = "continue"
    STOP = "stop"


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one node costs."""

    per_node_hour: Annotated[float, msgspec.Meta(ge=0)] = 0.616  # c5a.4xlarge, on demand, us-east-2
    currency: str = "USD"
    as_of: date = date(2024, 11, 11)


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clusters: one a size, one after the other."""

    sizes: str | tuple[Count, ...] = "4..256"  # nodes; the syntax of --sizes, or a list
    namespace: Namespace = "default"
    node_type: str = "c5a.4xlarge"
    region: str = "us-east-2"
    price: Price = Price()


class Images(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The images, in the order of the study: the repository's tags, then the references of ``more``."""

    repository: str = REPOSITORY
    tags: tuple[str, ...] = TAGS[SEED]
    more: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()  # files that tell sizes, FILE or IMAGE=FILE; a loaded study has what they told
    sizes: dict[str, ImageSize] = {}  # by reference: of those whose names do not tell it, or tell it wrongly

    @property
    def references(self) -> tuple[str, ...]:
        return (*(f"{self.repository}:{tag}" for tag in self.tags), *self.more)


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the jobs follow each other."""

    repeats: Count = 1
    order: Order = Order.SEQUENTIAL
    seed: int = 1  # of the random order; recorded with the run
    cache: CacheMode = CacheMode.COLD
    on_failure: OnFailure = OnFailure.CONTINUE
    # How many failed attempts that cannot end otherwise (not found, refused, ...) a job is let make.
    hopeless_attempts: Count = 1


class JobPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Job that pulls an image: it does nothing, once on every node."""

    command: tuple[str, ...] = ("true",)
    # After its start, so that no node gets a second pod of the job; "auto": as long as driver/jobs/hold.py computes.
    hold_seconds: Annotated[float, msgspec.Meta(ge=0)] | Literal["auto"] = "auto"
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    host_network: bool = False  # without a network of its own a pod needs no address, and no network plugin
    backoff_limit: Annotated[int, msgspec.Meta(ge=0)] = 6  # Kubernetes' own default
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    labels: dict[str, str] = {}
    # What a cluster asks of pods besides: a priority class, requests, security contexts.
    pod: dict[str, Any] = {}
    container: dict[str, Any] = {}


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each step may take. The job's is kept by the cluster's clock, the others by the driver's."""

    job_seconds: Seconds = 3600.0  # the longest upstream job took 153 s at up to 16 nodes
    silence_seconds: Seconds = 900.0  # beyond job_seconds: a job whose end is not heard of by then has none
    nodes_ready_seconds: Seconds = 900.0
    drain_seconds: Seconds = 60.0  # for the events of a finished job to reach the store
    quiet_seconds: Seconds = 3.0  # no new event for so long: what is missing was never sent
    pods_gone_seconds: Seconds = 120.0
    api_seconds: Seconds = 900.0  # an API server that is away, or too busy to answer, is asked again for so long
    store_seconds: Seconds = 600.0  # an InfluxDB that does not answer is waited for so long
    # No pod of a job changes for so long, and one has no node or a lost one: the job is ended. As long as a cluster's
    # own pods stay on a lost node (tolerationSeconds of the admission plugin DefaultTolerationSeconds).
    stuck_seconds: Seconds = 300.0
    # Kubelets report their images every 10 s to 5 min (nodeStatusUpdateFrequency, nodeStatusReportFrequency).
    cache_clear_seconds: Seconds = 600.0


# Parameters of the simulator's model by group and name, and where they come from, or a file of them: a loaded study has
# what the file said.
Model = dict[str, dict[str, Any]] | str


def _loaded(model: Model) -> Changes:
    assert not isinstance(model, str)  # load_study read the file
    return {group: values for group, values in model.items() if group != CALIBRATION}


class SimPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulator's own settings; other providers leave them out."""

    seed: int = 1
    profile: Profile = Profile.EKS  # whose measured times; docs/sim.md
    model: Model = {}  # docs/sim-model.md
    kubernetes_version: str = "1.34.4"
    speed: str = "max"  # virtual seconds a second, or max
    stages: Stages = Stages.SOME  # which pulls tell of their stages and layers; docs/sim.md
    faults: tuple[dict[str, Any], ...] = ()  # what goes wrong, by the names in docs/sim.md

    @property
    def changes(self) -> Changes:
        """Of a loaded study's model."""
        return _loaded(self.model)


class KubeconfigPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An existing cluster: its nodes, and how images are removed from them. docs/providers.md."""

    create_namespace: bool = False  # cluster.namespace, if it is not there; it stays
    nodes: tuple[str, ...] = ()  # the names of those that may be taken; none: any
    scale_command: tuple[str, ...] = ()  # run before each size, with {size} in its words; none: the nodes there are
    scale_seconds: Seconds = 1800.0
    clear_command: tuple[str, ...] = ()  # run here for each node, with {node} and {images}, in place of the DaemonSet
    cleaner_image: str = "docker.io/library/busybox:1.36"  # needs sh, chroot, awk, date, grep, sleep, tee
    runtime_socket: str = "/run/containerd/containerd.sock"  # on the nodes


class KwokPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fake nodes on a real API server. docs/kwok.md."""

    profile: Profile = Profile.EKS  # whose measured times
    model: Model = {}  # docs/sim-model.md
    seed: int = 1  # of the durations
    speed: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # model seconds a second; events tell the seconds that passed
    controller_qps: Annotated[float, msgspec.Meta(gt=0)] = 20.0  # kube-controller-manager's own default
    lease_seconds: Annotated[int, msgspec.Meta(ge=4)] = 40  # of the nodes; renewed four times in this time

    @property
    def changes(self) -> Changes:
        """Of a loaded study's model."""
        return _loaded(self.model)


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole study. The defaults are the study of converged-computing's pulling-aws."""

    name: Label = "pulling-study"
    cluster: ClusterPlan = ClusterPlan()
    images: Images = Images()
    run: RunPlan = RunPlan()
    job: JobPlan = JobPlan()
    limits: Limits = Limits()
    collect: Destination = Destination()
    sim: SimPlan = SimPlan()
    eks: EksPlan = EksPlan()
    kubeconfig: KubeconfigPlan = KubeconfigPlan()
    kwok: KwokPlan = KwokPlan()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Raises SizesError, ValueError."""
        return parse_sizes(self.cluster.sizes) if isinstance(self.cluster.sizes, str) else self.cluster.sizes


# Of a pod's spec and a container's: they have keys of [job] of their own, or decide what is measured.
_OWN = {
    "pod": (
        *("affinity", "containers", "ephemeralContainers", "hostNetwork", "imagePullSecrets", "initContainers"),
        *("nodeName", "nodeSelector", "restartPolicy", "terminationGracePeriodSeconds", "tolerations"),
    ),
    "container": ("command", "image", "imagePullPolicy", "lifecycle", "name"),
}


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """The options that override the study's file; None: not given."""

    sizes: str | None = None
    repeats: int | None = None
    seed: int | None = None  # of all that is random: the order, and what is simulated
    profile: Profile | None = None  # of what is simulated,
    model: Path | None = None  # and what is changed of it
    stages: Stages | None = None  # of the simulator
    manifests: tuple[str, ...] | None = None  # beside the file's own
    order: Order | None = None
    cache: CacheMode | None = None
    eks_mode: Mode | None = None


BUILT_IN: dict[str | Path, Study] = {
    SEED: Study(),
    **{name: Study(name=name, images=Images(tags=tags)) for name, tags in TAGS.items() if name != SEED},
}


def load_study(named: str | Path | None, overrides: Overrides) -> Study:
    """A built-in study by its name, or a file's (none: the seed's), the command line's say over it, checked.

    Raises UsageError.
    """
    name = SEED if named is None else named
    study = BUILT_IN[name] if name in BUILT_IN else _read(Path(name))
    return _checked(_override(study, overrides), str(named or "the default study"))


def change_study(study: Study, overrides: Overrides) -> Study:
    """A loaded study, the command line's say over it, checked. Raises UsageError."""
    return _checked(_override(study, overrides), f"study {study.name}")


def _checked(study: Study, where: str) -> Study:
    _check(study, where)
    return msgspec.structs.replace(study, cluster=msgspec.structs.replace(study.cluster, sizes=study.sizes))


def _read(path: Path) -> Study:
    try:
        study = msgspec.convert(read_study_file(path), Study)
    except msgspec.ValidationError as error:
        raise UsageError(f"study {path}: {explain_mistake(error, Study)}; pulldriver docs study explains") from error
    return _with_manifests(_with_models(study, path.parent), study.images.manifests, path.parent)


def _override(study: Study, overrides: Overrides) -> Study:
    given = {name: value for name, value in msgspec.structs.asdict(overrides).items() if value is not None}
    sizes = given.pop("sizes", study.cluster.sizes)
    mode = given.pop("eks_mode", study.eks.mode)
    study = _with_manifests(study, given.pop("manifests", ()), Path())
    simulated: dict[str, Any] = {"seed": overrides.seed} if overrides.seed is not None else {}
    if (profile := given.pop("profile", None)) is not None:
        simulated["profile"] = profile
    if (model := given.pop("model", None)) is not None:
        simulated["model"] = _read_model(model, f"--model {model}")
    stages = given.pop("stages", study.sim.stages)
    if given.get("repeats", 1) < 1:
        raise UsageError(f"--repeats {given['repeats']}: 1 or more")
    return msgspec.structs.replace(
        study,
        cluster=msgspec.structs.replace(study.cluster, sizes=sizes),
        run=msgspec.structs.replace(study.run, **given),
        eks=msgspec.structs.replace(study.eks, mode=mode),
        sim=msgspec.structs.replace(study.sim, stages=stages, **simulated),
        kwok=msgspec.structs.replace(study.kwok, **simulated),
    )


def _with_models(study: Study, directory: Path) -> Study:
    """What the files of models say in their place: the run keeps what it was made with. Raises UsageError."""
    for name, plan in (("sim", study.sim), ("kwok", study.kwok)):
        if isinstance(plan.model, str):
            model = _read_model(directory / plan.model, f"[{name}] model = {plan.model!r}")
            study = msgspec.structs.replace(study, **{name: msgspec.structs.replace(plan, model=model)})
    return study


def _with_manifests(study: Study, files: tuple[str, ...], directory: Path) -> Study:
    """What the files of manifests say of images' sizes, in their place. Raises UsageError."""
    if not files:
        return study
    from driver.planning.manifest_files import sizes_of_files

    sizes = {**sizes_of_files(files, directory, study.images.references), **study.images.sizes}
    return msgspec.structs.replace(study, images=msgspec.structs.replace(study.images, manifests=(), sizes=sizes))


def _read_model(path: Path, where: str) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_bytes()
        parse_model(text)
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}; give a JSON file of parameters by group") from error
    except ParametersError as error:
        raise UsageError(f"{where}: {error}") from error
    return dict(msgspec.json.decode(text))


def _check_model(plan: SimPlan | KwokPlan, where: str) -> None:
    assert not isinstance(plan.model, str)  # load_study read the file
    try:
        check_model(plan.model).parameters(PROFILES[plan.profile])
    except ParametersError as error:
        raise UsageError(f"{where}: {error}; docs/sim-model.md lists the parameters") from error


def _check(study: Study, where: str) -> None:
    try:
        sizes = study.sizes
    except SizesError as error:
        raise UsageError(str(error)) from error
    for what, found in (("size", sizes), ("image", study.images.references)):
        if not found:
            raise UsageError(f"{where}: no {what} is given")
        twice = [str(value) for value, times in Counter(found).items() if times > 1]
        if twice:
            raise UsageError(f"{where}: {what} {twice[0]} stands there twice")
    if study.job.image_pull_policy not in ("IfNotPresent", "Always"):
        raise UsageError(f"{where}: job.image_pull_policy must be IfNotPresent or Always")
    _check_image_sizes(study.images, where)
    _check_kubernetes(study, where)
    _check_model(study.sim, f"{where}: [sim] model")
    _check_model(study.kwok, f"{where}: [kwok] model")
    for table, own in _OWN.items():
        for key in getattr(study.job, table):
            if key in own:
                raise UsageError(f"{where}: job.{table} must leave {key} to the driver; docs/study.md lists the keys")


def _check_image_sizes(images: Images, where: str) -> None:
    for image, size in images.sizes.items():
        if image not in images.references:
            near = near_word(image, images.references)
            hint = f"did you mean {near!r}?" if near else "name it as it stands there, with its repository"
            raise UsageError(f"{where}: images.sizes: {image!r} is no image of the study: {hint}")
        if size.mistake:
            raise UsageError(f"{where}: images.sizes of {image!r}: {size.mistake}; docs/study.md")


def _check_kubernetes(study: Study, where: str) -> None:
    """What an API server or a kubelet would refuse once the cluster is paid for."""
    for image in study.images.references:
        _check_image(image, f"{where}: image")
    for table, plan in (("kubeconfig", study.kubeconfig), ("eks", study.eks)):
        _check_image(plan.cleaner_image, f"{where}: {table}.cleaner_image")
    for name in study.job.image_pull_secrets:
        if subdomain_fault(name):
            raise UsageError(f"{where}: job.image_pull_secrets: {name!r} is no name that Kubernetes takes")
    for table in ("labels", "node_selector"):
        for key, value in getattr(study.job, table).items():
            if label_key_fault(key) or label_value_fault(value):
                raise UsageError(f"{where}: job.{table} {key} = {value!r} is no label that Kubernetes takes")


def _check_image(image: str, where: str) -> None:
    if wrong := reference_fault(image):
        raise UsageError(f"{where} {image!r} is no reference ({wrong}): NAME[:TAG][@DIGEST], its name in lower case")


def encode_study(study: Study) -> str:
    """The study as it is run, JSON, as the ledger keeps it."""
    return msgspec.json.encode(study).decode()


def decode_study(text: str) -> Study:
    """The study that the ledger kept. Raises UsageError."""
    try:
        return msgspec.json.decode(text, type=Study)
    except msgspec.ValidationError as error:
        raise UsageError(f"the study in the ledger cannot be read: {error}; use the pullstudy that made it") from error
