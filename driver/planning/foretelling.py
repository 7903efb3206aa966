"""What a sweep's model says of each job before it is run. What it is judged by comes later, from the records."""

from collections.abc import Iterable, Mapping, Set
from functools import cached_property

from driver.planning.image_sizes import unpacked_bytes
from driver.planning.study import KwokPlan, Profile, SimPlan, Study
from pullstudy.pulls.image import FullReference, full_reference, study_shape
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.model_file import ModelFile, check_model
from pullstudy.sim.model.parameters import PROFILES, ModelParameters, accelerated
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.pull_prediction import PullPrediction, egress_bounds, predict_pulls
from pullstudy.sim.prediction.usual_spread import with_spread
from pullstudy.store.embedded.ledger import ForetoldPulls, JobRow

_NOTHING: frozenset[str] = frozenset()
_SEED = 0  # of the trials: no job's pulls are drawn by it


class Foreteller:
    """Of one study on one provider. What is asked again is known: most jobs of an image have the same answer."""

    def __init__(self, study: Study, provider: str) -> None:
        """Of a loaded study."""
        self._study = study
        self._provider = provider
        self._catalogue = ImageCatalogue(study.images.sizes)
        self._names = {full_reference(image): image for image in study.images.references}
        self._known: dict[tuple[str, frozenset[str], int | None], PullPrediction] = {}

    def of(self, job: JobRow, held: Iterable[Set[str]] = ()) -> ForetoldPulls | None:
        """``held``: what each node holds, images by their full names. None where nothing tells the image's bytes or
        which of its layers the nodes hold, and where they do not all hold the same of them."""
        layers = {self._held_layers(job.image, names) for names in held} or {_NOTHING}
        if len(layers) > 1 or None in layers or unpacked_bytes(self._study.images, job.image) is None:
            return None
        said = self._pulls(job.image, layers.pop() or _NOTHING, job.size)
        return ForetoldPulls(
            cluster=job.cluster,
            job=job.job,
            model=self.model,
            median_seconds=said.median,
            low_seconds=said.single.low,
            high_seconds=said.single.high,
        )

    @cached_property
    def model(self) -> str:
        """Which it is, in words."""
        calibration = self._file.calibration
        if calibration is not None:
            return f"{self._profile}, calibrated on {calibration.study}"
        changed = f"{self._profile}, changed" if self._file.changes else str(self._profile)
        return changed if self._is_simulated else f"{changed} (fitted on other clusters)"

    def _held_layers(self, image: str, names: Set[str]) -> frozenset[str] | None:
        """Of the image's layers; None where a node holds another of its repository, whose layers nothing tells."""
        own, found = full_reference(image), set[str]()
        for name in map(full_reference, names):
            layers = self._layers(name)
            if layers is None and (name.host, name.repository) == (own.host, own.repository) and name.tag:
                return None
            found |= layers or _NOTHING
        return frozenset(layer.digest for layer in self._catalogue.describe(image).layers) & found

    def _layers(self, name: FullReference) -> frozenset[str] | None:
        image = self._names.get(name, f"{name.host}/{name.repository}:{name.tag}")
        size = self._study.images.sizes.get(image)
        if size.digests if size else study_shape(name.tag):
            return frozenset(layer.digest for layer in self._catalogue.describe(image).layers)
        return None

    def _pulls(self, image: str, held: frozenset[str], nodes: int) -> PullPrediction:
        missing = Missing.of(self._catalogue.describe(image), held)
        key = (image, held, nodes if egress_bounds(self.draws[0], missing, nodes) else None)
        if key not in self._known:
            self._known[key] = predict_pulls(self.draws, missing, nodes, _SEED)
        return self._known[key]

    @property
    def _is_simulated(self) -> bool:
        return self._provider in ("sim", "kwok")

    @property
    def _plan(self) -> SimPlan | KwokPlan:
        return self._study.kwok if self._provider == "kwok" else self._study.sim

    @property
    def _profile(self) -> Profile:
        """Real nodes are foretold by what was fitted to all real logs, if no other is chosen."""
        chosen = self._plan.profile
        return Profile.EKS_GP2 if chosen is Profile.EKS and not self._is_simulated else chosen

    @cached_property
    def _file(self) -> ModelFile:
        model = self._plan.model
        assert isinstance(model, Mapping)  # load_study read the file
        return check_model(model)

    @cached_property
    def draws(self) -> list[ModelParameters]:
        """Of the model's parameters. What is simulated has the model's own spread, and its parameters as they are."""
        base = PROFILES[self._profile]
        if self._provider == "kwok":
            return [accelerated(self._file.parameters(base), self._study.kwok.speed)]
        if self._is_simulated:
            return [self._file.parameters(base)]
        return [with_spread(each) for each in self._file.draws(base)]
