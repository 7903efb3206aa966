"""What a directory's sweep goes on with: its own study, or that and more."""

import msgspec

from driver.clusters.provider import Provider
from driver.commands.provider_plan import check_study, with_image_sizes, with_price
from driver.errors import UsageError
from driver.planning.extension import extended
from driver.planning.image_sizes import with_sizes
from driver.planning.resume import check_same_study
from driver.planning.study import Overrides, Study, change_study, decode_study, load_study
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import Run


class AskedStudy(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of the study: a file or a built-in one, and options over it."""

    file: str | None
    overrides: Overrides
    ask_registry: bool = False  # for the bytes of images that are new

    @property
    def told(self) -> bool:
        """Whether it says anything."""
        return self.file is not None or self.overrides != Overrides()

    def load(self) -> Study:
        """By itself. Raises UsageError."""
        return load_study(self.file, self.overrides)

    def over(self, kept: Study, provider: Provider) -> Study:
        """Of a run that has a study: without a file, options are said over that one. Raises UsageError."""
        return with_price(self.load(), provider) if self.file is not None else change_study(kept, self.overrides)

    @property
    def collect(self) -> Destination | None:
        """Where a file says that records go. Raises UsageError."""
        return self.load().collect if self.file is not None else None


def study_going_on(run: Run, asked: AskedStudy, provider: Provider, *, extend: bool) -> Study:
    """Of the run from now on. Raises UsageError where that is not what it may become."""
    if run.provider != provider.name:
        option = "--extend" if extend else "--resume"
        raise UsageError(f"{option}: this run is on {run.provider}; give --provider {run.provider}")
    kept = decode_study(run.study)
    if not asked.told:
        return kept
    wanted = asked.over(kept, provider)
    if extend:
        study = with_image_sizes(extended(kept, wanted), provider, ask_registry=asked.ask_registry)
        check_study(study, provider)
        return study
    # Sizes that a registry told, or nobody, are not asked for again.
    check_same_study(with_sizes(msgspec.structs.replace(wanted, collect=kept.collect), kept.images.sizes), kept)
    return kept
