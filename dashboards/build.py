"""Everything as files: the same schema gives the same bytes."""

import json
from pathlib import Path

from dashboards import alerts, collector_health, failures, live, phases, study
from dashboards.flux import Source
from dashboards.layout import Json

# Not called .json, which Grafana would take for dashboards where all lie in one directory: JSON is YAML as well.
GRAFANA_RULES, PROMETHEUS_RULES = "rules/grafana.yaml", "rules/prometheus.yaml"


def dashboards(source: Source) -> dict[str, Json]:
    """By uid. Raises SchemaError where a panel asks for what no point has."""
    made = (
        study.build(source),
        phases.build(source),
        failures.build(source),
        live.build(source),
        collector_health.build(),
    )
    return {board["uid"]: board for board in made}


def files(source: Source) -> dict[str, bytes]:
    """By name."""
    made = {f"{uid}.json": board for uid, board in dashboards(source).items()}
    rules = {GRAFANA_RULES: alerts.provisioned(source), PROMETHEUS_RULES: alerts.rules(source)}
    return {name: _encode(data) for name, data in {**made, **rules}.items()}


def _encode(data: Json) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def build(directory: Path, source: Source) -> list[Path]:
    """Write them. Raises OSError."""
    paths = []
    for name, content in files(source).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
        paths.append(directory / name)
    return paths
