"""Everything as files: the same schema gives the same bytes."""

import json
from pathlib import Path

from dashboards import alerts, collector_health, failures, live, phases, study
from dashboards.flux import Source
from dashboards.layout import Json

ALERTS = "alerts.json"


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
    return {name: _encode(data) for name, data in {**made, ALERTS: alerts.build(source)}.items()}


def _encode(data: Json) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def build(directory: Path, source: Source) -> list[Path]:
    """Write them. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in files(source).items():
        (directory / name).write_bytes(content)
        paths.append(directory / name)
    return paths
