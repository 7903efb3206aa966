"""``python -m bench.known_truth [CONCLUSION...]``: trials with a known truth, as a table. Some minutes for all."""

import sys
from collections.abc import Callable, Iterator

from bench.known_truth import (
    advice,
    blame,
    comparisons,
    growth,
    model_errors,
    predictions,
    stage_comparisons,
    stragglers,
    write_back,
)
from bench.known_truth.trial import Trial, rows, table

CONCLUSIONS: dict[str, Callable[[], Iterator[Trial]]] = {
    "write-rate": write_back.trials,
    "growth": growth.trials,
    "stragglers": stragglers.trials,
    "blame": blame.trials,
    "compare": comparisons.trials,
    "compare-stages": stage_comparisons.trials,
    "slo": comparisons.objective_trials,
    "predict": predictions.trials,
    "model-error": model_errors.trials,
    "advice": advice.trials,
}


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in CONCLUSIONS]
    if unknown:
        print(f"no trials of {', '.join(unknown)}; there are {', '.join(CONCLUSIONS)}", file=sys.stderr)
        return 2
    for name in wanted or CONCLUSIONS:
        print(*table(rows(CONCLUSIONS[name]())), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
