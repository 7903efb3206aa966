"""What a sweep's model says of each job before it is run. What it is judged by comes later, from the records."""

from collections.abc import Mapping
from functools import cached_property

from driver.planning.image_sizes import unpacked_bytes
from driver.planning.study import KwokPlan, SimPlan, Study
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.model_file import ModelFile, check_model
from pullstudy.sim.model.parameters import PROFILES, ModelParameters, accelerated
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.pull_prediction import PullPrediction, egress_bounds, predict_pulls
from pullstudy.sim.prediction.usual_spread import with_spread
from pullstudy.store.embedded.ledger import ForetoldPulls, JobRow

_SEED = 0  # of the trials: no job's pulls are drawn by it


class Foreteller:
    """Of one study on one provider. What is asked again is known: most jobs of an image have the same answer."""

    def __init__(self, study: Study, provider: str) -> None:
        """Of a loaded study."""
        self._study = study
        self._provider = provider
        self._catalogue = ImageCatalogue(study.images.sizes)
        self._known: dict[tuple[str, int | None], PullPrediction] = {}

    def of(self, job: JobRow) -> ForetoldPulls | None:
        """Of a job whose nodes hold nothing of its image; None where nothing tells the image's bytes."""
        if unpacked_bytes(self._study.images, job.image) is None:
            return None
        said = self._pulls(job.image, job.size)
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
            return f"{self._plan.profile}, calibrated on {calibration.study}"
        changed = f"{self._plan.profile}, changed" if self._file.changes else str(self._plan.profile)
        return changed if self._is_simulated else f"{changed} (fitted on other clusters)"

    def _pulls(self, image: str, nodes: int) -> PullPrediction:
        missing = Missing.of(self._catalogue.describe(image), frozenset())
        key = (image, nodes if egress_bounds(self.draws[0], missing, nodes) else None)
        if key not in self._known:
            self._known[key] = predict_pulls(self.draws, missing, nodes, _SEED)
        return self._known[key]

    @property
    def _is_simulated(self) -> bool:
        return self._provider in ("sim", "kwok")

    @property
    def _plan(self) -> SimPlan | KwokPlan:
        return self._study.kwok if self._provider == "kwok" else self._study.sim

    @cached_property
    def _file(self) -> ModelFile:
        model = self._plan.model
        assert isinstance(model, Mapping)  # load_study read the file
        return check_model(model)

    @cached_property
    def draws(self) -> list[ModelParameters]:
        """Of the model's parameters. What is simulated has the model's own spread, and its parameters as they are."""
        base = PROFILES[self._plan.profile]
        if self._provider == "kwok":
            return [accelerated(self._file.parameters(base), self._study.kwok.speed)]
        if self._is_simulated:
            return [self._file.parameters(base)]
        return [with_spread(each) for each in self._file.draws(base)]
