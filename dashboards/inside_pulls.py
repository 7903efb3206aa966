"""Inside the pulls: which stage holds them up, on which node, and which layers."""

from collections.abc import Mapping

from dashboards.columns import Columns, layer, pull_stages
from dashboards.flux import (
    IMAGE,
    NODE,
    PIVOT,
    PLACE,
    SHOWN_TIMES,
    Bucket,
    chosen,
    one_of,
    program,
    text_of,
)
from dashboards.layout import Json, Row, clusters_heading, dashboard, heading, pull_variables
from dashboards.panels import COUNT, SECONDS, Bars, FluxTarget, Rows, coloured, in_order, override, units
from pullstudy.analysis.report.colours import STAGE_COLOURS
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.stage import Stage

UID = "pullstudy-inside"
_MOST_IMAGES, _MOST_NODES, _MOST_LAYERS = 25, 100, 50
_RATE = "Bps"


def build(bucket: Bucket) -> Json:
    return dashboard(
        UID,
        "pullstudy: inside the pulls",
        "What holds pulls up, stage by stage and layer by layer, as the nodes' runtimes tell it.",
        _rows(bucket),
        variables=pull_variables(bucket),
    )


def _rows(bucket: Bucket) -> list[Row]:
    return [
        clusters_heading(),
        heading("Which stage holds pulls up"),
        (12, [(24, _images(bucket))]),
        (11, [(24, _nodes(bucket))]),
        heading("Which layers hold pulls up"),
        (12, [(24, _layers(bucket))]),
    ]


def _words(stage: Stage) -> str:
    return stage.replace("_", " ")


def _seconds(stage: Stage) -> str:
    return str(getattr(pull_stages, f"{stage}_seconds"))


def _known(bucket: Bucket, columns: Columns, *fields: str) -> str:
    """Rows with these fields, of the place, the images and the nodes that are chosen."""
    of_place = chosen(*(columns.tag_name(name) for name in PLACE))
    wanted = columns.of_fields(*fields, columns.image, columns.node)
    rows = bucket.rows(SHOWN_TIMES, f"{columns.of_measurement()} and {of_place} and {wanted}")
    kept = f"exists r.{columns.image} and {one_of(columns.image, IMAGE)} and {one_of(columns.node, NODE)}"
    return f"{rows}\n  {PIVOT}\n  |> filter(fn: (r) => {kept})"


def _whole_pulls(bucket: Bucket) -> str:
    """``known``: a row for each pull that did not fail and of which nothing is known to be missing, as in the report."""
    complete, outcome = pull_stages.complete, pull_stages.outcome
    fields = (pull_stages.wall_seconds, *map(_seconds, Stage), complete, outcome)
    whole = f'exists r.{complete} and r.{complete} and {text_of(outcome)} != "{Outcome.FAILED}"'
    return f"known = {_known(bucket, pull_stages, *fields)}\n  |> filter(fn: (r) => {whole})"


def _summed(by: tuple[str, ...], sums: Mapping[str, str]) -> str:
    """``sums``: a row a group of ``known``, with how many rows it has and the sums of these expressions."""
    keys = ", ".join(f'"{name}"' for name in by)
    zeros = "".join(f", {name}: 0.0" for name in sums)
    added = "".join(f", {name}: accumulator.{name} + {expression}" for name, expression in sums.items())
    return (
        f"sums = known |> group(columns: [{keys}])\n"
        f"  |> reduce(identity: {{rows: 0{zeros}}}, fn: (r, accumulator) => ({{rows: accumulator.rows + 1{added}}}))\n"
        "  |> group()"
    )


def _or_zero(column: str) -> str:
    return f"(if exists r.{column} then r.{column} else 0.0)"


_SUMS = {
    "seconds": _or_zero(pull_stages.wall_seconds),
    **{str(stage): _or_zero(f"{stage}_seconds") for stage in Stage},
}


def _means(*keys: str) -> str:
    """A row a group with the means of all, the most time first."""
    columns = [f"{name}: r.{name}" for name in keys] + ["pulls: r.rows", "total: r.seconds"]
    columns += [f'"{name}": r.{name} / float(v: r.rows)' for name in ("seconds", *map(str, Stage))]
    renamed = ", ".join(f'{stage}: "{_words(stage)}"' for stage in Stage if _words(stage) != stage)
    return (
        f"sums |> map(fn: (r) => ({{{', '.join(columns)}}}))\n"
        f'  |> sort(columns: ["total"], desc: true) |> drop(columns: ["total"]) |> rename(columns: {{{renamed}}})'
    )


def _images(bucket: Bucket) -> Bars:
    image = pull_stages.image
    return Bars(
        title="What holds pulls up, by image",
        description="The mean pull of each image: at each moment one stage holds it up, so that the stages add up to it. "
        f"The {_MOST_IMAGES} images with the most time. A stage that a runtime does not tell from its neighbour is in "
        "that neighbour.",
        unit=SECONDS,
        xField=image,
        axisLabel="seconds of the mean pull",
        stacked=True,
        horizontal=True,
        overrides=[coloured(_words(stage), colour) for stage, colour in STAGE_COLOURS.items()],
        targets=[
            FluxTarget(
                program(
                    _whole_pulls(bucket),
                    _summed((image,), _SUMS),
                    f'{_means(image)}\n  |> limit(n: {_MOST_IMAGES}) |> drop(columns: ["pulls", "seconds"])',
                )
            )
        ],
    )


def _nodes(bucket: Bucket) -> Rows:
    keys = (pull_stages.cluster, pull_stages.node)
    return Rows(
        title="What holds pulls up, by node",
        description=f"Means of a node's pulls, whatever their images. The {_MOST_NODES} nodes with the most time.",
        unit=SECONDS,
        overrides=[*units(COUNT, ["pulls"]), override(pull_stages.node, **{"custom.width": 300})],
        transformations=[in_order(*keys, "pulls", "seconds", *map(_words, Stage))],
        targets=[
            FluxTarget(
                program(_whole_pulls(bucket), _summed(keys, _SUMS), f"{_means(*keys)}\n  |> limit(n: {_MOST_NODES})")
            )
        ],
    )


def _layers(bucket: Bucket) -> Rows:
    image, digest, size = layer.image, layer.layer_digest, layer.layer_bytes
    held, apply, transfer = layer.held_seconds, layer.apply_seconds, layer.transfer_seconds
    moved = f"(if exists r.{size} and exists r.{transfer} and r.{transfer} > 0.0 then "
    sums = {
        "held": _or_zero(held),
        "apply": _or_zero(apply),
        "transfer": f"{moved}r.{transfer} else 0.0)",
        "moved": f"{moved}float(v: r.{size}) else 0.0)",
    }
    means = (
        f"{image}: r.{image}, {digest}: r.{digest}, pulls: r.rows, total: r.held, held: r.held / float(v: r.rows),"
        " apply: r.apply / float(v: r.rows), transfer: if r.transfer > 0.0 then r.moved / r.transfer else 0.0"
    )
    return Rows(
        title="Layers that hold pulls up",
        description="How long each held a pull up and was unpacked for, on average, and how fast it came: 0 where nobody "
        f"says. The {_MOST_LAYERS} that held up most, all pulls together.",
        unit=SECONDS,
        sort="total",
        overrides=[
            *units(COUNT, ["pulls"]),
            override("transfer", unit=_RATE),
            override(image, **{"custom.width": 420}),
        ],
        transformations=[in_order(image, digest, "pulls", "total", "held", "apply", "transfer")],
        targets=[
            FluxTarget(
                program(
                    f"known = {_known(bucket, layer, digest, size, held, apply, transfer)}",
                    _summed((image, digest), sums),
                    f"sums |> map(fn: (r) => ({{{means}}}))\n"
                    f'  |> sort(columns: ["total"], desc: true) |> limit(n: {_MOST_LAYERS})',
                )
            )
        ],
    )
