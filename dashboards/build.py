"""Everything as files: the same schema gives the same bytes."""

import json
from pathlib import Path

from dashboards import alerts, collector_health, failures, inside_pulls, live, phases, pull_metrics, study
from dashboards.errors import FilesError
from dashboards.flux import Bucket
from dashboards.layout import Json

# Not called .json, which Grafana would take for dashboards where all lie in one directory: JSON is YAML as well.
GRAFANA_RULES, PROMETHEUS_RULES = "rules/grafana.yaml", "rules/prometheus.yaml"


def dashboards(bucket: Bucket) -> dict[str, Json]:
    """By uid. Raises SchemaError where a panel asks for what no point has."""
    made = (
        study.build(bucket),
        phases.build(bucket),
        inside_pulls.build(bucket),
        failures.build(bucket),
        live.build(bucket),
        collector_health.build(),
        pull_metrics.build(),
    )
    return {board["uid"]: board for board in made}


def files(bucket: Bucket) -> dict[str, bytes]:
    """By name."""
    made = {f"{uid}.json": board for uid, board in dashboards(bucket).items()}
    rules = {GRAFANA_RULES: alerts.provisioned(bucket), PROMETHEUS_RULES: alerts.rules(bucket)}
    return {name: _encode(data) for name, data in {**made, **rules}.items()}


def _encode(data: Json) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_files(directory: Path, bucket: Bucket) -> list[Path]:
    """Write them all; return where. Raises FilesError, SchemaError."""
    paths = []
    try:
        for name, content in files(bucket).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
            paths.append(directory / name)
    except OSError as error:
        raise FilesError(directory, error.strerror or str(error)) from error
    return paths
