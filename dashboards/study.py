"""The study: how long pulls take, by image size, layers and cluster size."""

from grafanalib import core as grafana

from dashboards.columns import pull
from dashboards.flux import (
    GB_STATED,
    LAYERS,
    LAYERS_STATED,
    NODES,
    STATES_SHAPE,
    Bucket,
    program,
    quantiles,
    timed_pulls,
    with_columns,
)
from dashboards.layout import (
    Json,
    Row,
    clusters_heading,
    dashboard,
    heading,
    layer_variable,
    pull_caches,
    pull_variables,
)
from dashboards.panels import (
    COUNT,
    GIGABYTES,
    SECONDS,
    Bars,
    Distribution,
    DurationHeatmap,
    Figures,
    FluxTarget,
    Rows,
    Trend,
    coloured,
    in_order,
    override,
    units,
)
from pullstudy.analysis.report.colours import size_colours
from pullstudy.store.influx.flux import literal

UID = "pullstudy-study"
BANDS = {"fastest": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "slowest": 1.0}
_EACH_LAYER_COUNT = grafana.Repeat(direction="h", variable=LAYERS, maxPerRow=2)
_FILLED = (("p5", "p95"), ("p25", "p75"))
_BUCKETS_A_DECADE = 10  # of the logarithmic histogram
_EDGE = f"math.pow(x: 10.0, y: float(v: r.bucket) / {float(_BUCKETS_A_DECADE)})"
# Each a billionth lower, since a bucket has its lower edge and a histogram of Flux the upper one.
_EDGES = f"logarithmicBins(start: 0.000000000999999999, factor: {10 ** (1 / _BUCKETS_A_DECADE)!r}, count: 212, infinity: false)"
_BELOW_EDGE = f"int(v: math.round(x: math.log10(x: r.le) * {float(_BUCKETS_A_DECADE)})) - 1"
_EDGE_WORDS = f'string(v: math.round(x: {_EDGE} * 100.0) / 100.0) + " s"'


def build(bucket: Bucket) -> Json:
    return dashboard(
        UID,
        "pullstudy: study",
        "How long nodes take to pull images, by image size, layers and cluster size.",
        _rows(bucket),
        variables=[*pull_variables(bucket), layer_variable(bucket), pull_caches(bucket)],
    )


def _rows(bucket: Bucket) -> list[Row]:
    return [
        clusters_heading(),
        (4, _figures(bucket)),
        heading("By image size"),
        (9, [(24, _bands(bucket, False))]),
        (9, [(24, _bands(bucket, True))]),
        (9, [(24, _medians(bucket))]),
        (9, [(24, _by_layers(bucket))]),
        heading("By cluster size"),
        (9, [(24, _by_nodes(bucket))]),
        heading("Distribution"),
        (9, [(12, _histogram(bucket)), (12, _log_histogram(bucket))]),
        (9, [(24, _heat_map(bucket))]),
        (11, [(24, _table(bucket))]),
    ]


def _query(bucket: Bucket, *statements: str, fields: tuple[str, ...] = (pull.image,)) -> list[FluxTarget]:
    return [FluxTarget(program(timed_pulls(bucket, *fields), *statements))]


def _figures(bucket: Bucket) -> list[tuple[int, Figures]]:
    seconds = pull.pull_seconds

    def quantile(probability: float) -> str:
        return f'records |> quantile(column: "{seconds}", q: {probability}, method: "exact_mean") |> keep(columns: ["{seconds}"])'

    def distinct(column: str) -> str:
        return f'records |> distinct(column: "{column}") |> count() |> keep(columns: ["_value"])'

    count = f'records |> count(column: "{seconds}") |> keep(columns: ["{seconds}"])'
    figures: list[tuple[str, str, str, str, tuple[str, ...]]] = [
        ("Pulls", COUNT, count, "with a duration", ()),
        ("Median", SECONDS, quantile(0.5), "of the pulls' durations", ()),
        ("95th percentile", SECONDS, quantile(0.95), "of the pulls' durations", ()),
        ("Slowest", SECONDS, quantile(1.0), "of the pulls' durations", ()),
        ("Images", COUNT, distinct(pull.image), "that were pulled", (pull.image,)),
        (
            "Nodes",
            COUNT,
            distinct(pull.node),
            "that pulled, of all clusters; names are the same in several clusters",
            (pull.node,),
        ),
    ]
    return [
        (
            4,
            Figures(
                title=title,
                unit=unit,
                targets=_query(bucket, text, fields=fields),
                description=f"{title} {words}.",
            ),
        )
        for title, unit, text, words, fields in figures
    ]


def _bands(bucket: Bucket, logarithmic: bool) -> Trend:
    scale = "log" if logarithmic else "linear"
    return Trend(
        title=f"Percentiles by image size, {scale}: $layers layers",
        description="Bands from the 5th to the 95th and from the 25th to the 75th percentile of pull duration, the "
        "median and the extremes, over the unpacked size that the image's tag states. Clusters are taken together: "
        "choose one above to see it alone.",
        unit=SECONDS,
        xField="gb",
        axisLabel="pull duration",
        logarithmic=logarithmic,
        bands=_FILLED,
        repeat=_EACH_LAYER_COUNT,
        overrides=[_IN_GIGABYTES],
        targets=_query(bucket, quantiles(_SHAPED, ("gb",), pull.pull_seconds, BANDS)),
    )


_SHAPED = (
    with_columns(f"records |> filter(fn: (r) => {STATES_SHAPE})", gb=GB_STATED) + " |> filter(fn: (r) => r.gb > 0.0)"
)
_IN_GIGABYTES = override("gb", unit=GIGABYTES, displayName="unpacked size, GB")


def _spread(rows: str, row: str, column: str, words: str, order: str, label: str = "", named: str = "label") -> str:
    """Medians: a row for each value of one column, a column for each of another, called by ``words``, in an order.

    With a label the row's own column gives way to that, under the name ``named``. All is put into words after the
    medians, of which there are few, and before the pivot, since ``map`` after one would lose the order of the columns.
    """
    seconds = pull.pull_seconds
    keys = f'"{row}", "{named}"' if label else f'"{row}"'
    labelled = {named: label} if label else {}
    medians = f'{rows} |> group(columns: ["{row}", "{column}"]) |> median(column: "{seconds}", method: "exact_mean") |> group()'
    spoken = with_columns(with_columns(medians, series=words, **labelled), place=order)
    bare = f' |> drop(columns: ["{row}"])' if label else ""
    rising = f'"{named}"' if named == "nodes" else f'"{row}"'
    return (
        f'{spoken}\n  |> sort(columns: ["place"])\n'
        f'  |> pivot(rowKey: [{keys}], columnKey: ["series"], valueColumn: "{seconds}") |> sort(columns: [{rising}]){bare}'
    )


_GB_WORDS = 'string(v: math.round(x: r.gb * 100.0) / 100.0) + " GB"'
_NODES_WORDS = f'string(v: {NODES}) + " nodes"'
# In the report's order, from dark to light. Sizes between these have colours of Grafana's own.
_DOUBLED_SIZES = (4, 8, 16, 32, 64, 128, 256)
_SIZES_COLOURED = [
    coloured(f"{size} nodes", colour) for size, colour in zip(_DOUBLED_SIZES, size_colours(_DOUBLED_SIZES), strict=True)
]


def _medians(bucket: Bucket) -> Trend:
    return Trend(
        title="Median by image size and nodes: $layers layers",
        description="One line a cluster size. Lines on top of each other: the cluster's size does not matter to a pull.",
        unit=SECONDS,
        xField="gb",
        axisLabel="median pull duration",
        repeat=_EACH_LAYER_COUNT,
        overrides=[_IN_GIGABYTES, *_SIZES_COLOURED],
        targets=_query(bucket, _spread(_SHAPED, "gb", pull.size, _NODES_WORDS, NODES)),
    )


def _by_layers(bucket: Bucket) -> Bars:
    return Bars(
        title="Median by image size and layers",
        description="The same bytes in few layers or in many: what parallel downloads and sequential unpacking make of it.",
        unit=SECONDS,
        xField="label",
        axisLabel="median pull duration",
        targets=_query(
            bucket,
            _spread(
                with_columns(_SHAPED, layers=LAYERS_STATED),
                "gb",
                "layers",
                'r.layers + " layers"',
                "int(v: r.layers)",
                _GB_WORDS,
            ),
        ),
    )


def _by_nodes(bucket: Bucket) -> Trend:
    # By its tag, or by all of its name where that has none.
    name = (
        f'if r.{pull.image} =~ /^[^@]*:[^:\\/@]+$/ then regexp.replaceAllString(r: /^.*:/, v: r.{pull.image}, t: "")'
        f" else r.{pull.image}"
    )
    known = f"records |> filter(fn: (r) => exists r.{pull.size} and exists r.{pull.image})"
    return Trend(
        title="Median by nodes and image",
        description="Flat lines: pulls take as long on many nodes as on few. Where the run still gets longer is on the "
        "dashboard of the phases.",
        unit=SECONDS,
        xField="nodes",
        axisLabel="median pull duration",
        overrides=[override("nodes", unit="none", displayName="nodes in the cluster")],
        targets=_query(
            bucket,
            _spread(with_columns(known, short=name), pull.size, "short", "r.short", "r.short", NODES, "nodes"),
        ),
    )


def _histogram(bucket: Bucket) -> Distribution:
    return Distribution(
        title="Histogram of pull duration, linear",
        description="Pulls by duration, one colour a cluster size. Each hump is an image: choose one above.",
        unit=SECONDS,
        displayName="${__field.labels.series}",
        overrides=_SIZES_COLOURED,
        targets=_query(
            bucket,
            with_columns("records", series=_NODES_WORDS),
            f'  |> keep(columns: ["series", "{pull.pull_seconds}"]) |> group(columns: ["series"])',
            fields=(),
        ),
    )


def _log_histogram(bucket: Bucket) -> Bars:
    seconds = pull.pull_seconds
    return Bars(
        title="Histogram of pull duration, log",
        description=f"Pulls by duration in {_BUCKETS_A_DECADE} buckets a decade, one colour a cluster size. A bucket is "
        "named by its lower edge; empty ones are not shown. Durations of 0 or less have no place on a logarithmic axis and are left out.",
        unit=COUNT,
        xField="from",
        axisLabel="pulls",
        stacked=True,
        overrides=_SIZES_COLOURED,
        targets=_query(
            bucket,
            # As many as are at or below each edge, so that no expression is made of each pull.
            f'records |> group(columns: ["{pull.size}"])',
            f'  |> histogram(column: "{seconds}", bins: {_EDGES}) |> difference(columns: ["_value"])',
            "  |> filter(fn: (r) => r._value > 0.0) |> group()",
            with_columns("  ", bucket=_BELOW_EDGE),
            with_columns("  ", nodes=NODES, series=_NODES_WORDS, **{"from": _EDGE_WORDS}),
            '  |> sort(columns: ["nodes"])',
            '  |> pivot(rowKey: ["bucket", "from"], columnKey: ["series"], valueColumn: "_value")',
            '  |> sort(columns: ["bucket"]) |> drop(columns: ["bucket"])',
            fields=(),
        ),
    )


def _heat_map(bucket: Bucket) -> DurationHeatmap:
    return DurationHeatmap(
        title="Heat map of pull duration over time",
        description="Pulls by the time at which they ended and by duration. In a sweep each column of colour is a job.",
        unit=SECONDS,
        targets=_query(
            bucket,
            f'records |> keep(columns: ["_time", "{pull.pull_seconds}"]) |> sort(columns: ["_time"])',
            fields=(),
        ),
    )


def _table(bucket: Bucket) -> Rows:
    by = (pull.image, pull.size)
    key = ", ".join(map(literal, by))
    counted = f'records |> group(columns: [{key}]) |> count(column: "{pull.pull_seconds}") |> group()'
    bands = quantiles("records", by, pull.pull_seconds, BANDS)
    return Rows(
        title="Percentiles by image and nodes",
        description="Of pull duration. Percentiles are interpolated linearly, as in the report; of fewer than 20 pulls p95 "
        "is nearly the slowest.",
        unit=SECONDS,
        overrides=[
            *units(COUNT, ["nodes", "pulls"]),
            override(pull.image, unit="string", **{"custom.width": 560}),
            _TO_FAILURES,
        ],
        transformations=[in_order(pull.image, "nodes", "pulls", *BANDS)],
        targets=_query(
            bucket,
            f'counted = {counted} |> rename(columns: {{{pull.pull_seconds}: "pulls"}})',
            bands.replace("union(", "banded = union(", 1),
            with_columns(f"join(tables: {{c: counted, b: banded}}, on: [{key}])", nodes=NODES)
            + f' |> drop(columns: ["{pull.size}"]) |> sort(columns: ["{pull.image}", "nodes"])',
        ),
    )


_TO_FAILURES = override(
    pull.image,
    links=[
        grafana.DataLink(
            title="Failures of this image",
            linkUrl="/d/pullstudy-failures?var-image=${__value.raw:percentencode}&${__url_time_range}",
        ).to_json_data()
    ],
)
