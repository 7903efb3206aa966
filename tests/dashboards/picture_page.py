"""A page with the panels of a dashboard, drawn by Vega from the dashboard's own JSON and what its queries answer.

    INFLUXDB_V2_URL=... INFLUXDB_V2_ORG=... INFLUXDB_V2_TOKEN=... python -m tests.dashboards.picture_page UID FILE.html
    chromium --headless --hide-scrollbars --window-size=1280,HEIGHT --screenshot=FILE.png FILE.html

The collector's dashboard is asked of PROMETHEUS_URL.

It is not Grafana: places, titles, units, axes and data are the dashboard's, the drawing is Vega's.
"""

import csv
import html
import io
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vl_convert

from dashboards.build import dashboards
from dashboards.flux import Bucket
from tests.dashboards.variables import substituted

Json = dict[str, Any]
_CELL, _HEIGHT, _ROW = 52, 34, 20  # pixels of a grid column and row, and of a table's row
_LETTER, _LABEL = 5.5, 240  # pixels of a legend's letter, and of its longest label
_LONGEST = 42  # of a cell; of a longer name the end tells more than the beginning
_STYLE = (
    "body{margin:8px;width:1256px;background:#f4f5f7;font:13px system-ui,'Liberation Sans',sans-serif;color:#1c2128}"
    "#page{position:relative}.panel{position:absolute;box-sizing:border-box;background:#fff;border:1px solid #d4d8de;"
    "padding:6px 8px;overflow:hidden}h2{font-size:13px;margin:0 0 4px;font-weight:600}table{border-collapse:collapse;"
    "font-size:10px;width:100%}td,th{padding:2px 3px;border-bottom:1px solid #e5e8ec;text-align:left;max-width:260px;"
    "overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.long{width:60%;max-width:0}.big{font-size:26px}.row{position:absolute;font-weight:600}"
)
# Grafana's words for units, where an axis has to name one.
UNITS = {"s": "s", "decbytes": "bytes", "ops": "a second", "Bps": "bytes a second"}
_SCRAPED_SECONDS = 150
CHOSEN = {"cache": ["cold"]}
_KEYS = ("", "result", "table")


def answer(query: str) -> list[Json]:
    body = json.dumps(
        {"query": substituted(query, CHOSEN), "type": "flux", "dialect": {"header": True, "annotations": []}}
    )
    request = urllib.request.Request(
        f"{os.environ['INFLUXDB_V2_URL']}/api/v2/query?org={os.environ['INFLUXDB_V2_ORG']}",
        data=body.encode(),
        headers={
            "Authorization": f"Token {os.environ['INFLUXDB_V2_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        text = response.read().decode()
    tables = [csv.DictReader(io.StringIO(table)) for table in text.strip().split("\r\n\r\n") if table]
    return [{key: value(cell) for key, cell in row.items() if key not in _KEYS} for table in tables for row in table]


def scraped(targets: list[Json]) -> list[Json]:
    """Series of Prometheus over its last minutes, named by their legends."""
    rows = []
    for target in targets:
        now = time.time()
        asked = {"query": target["expr"], "start": now - _SCRAPED_SECONDS, "end": now, "step": 2}
        url = f"{os.environ['PROMETHEUS_URL']}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=60) as response:
            found = json.load(response)["data"]["result"]
        for series in found:
            name = re.sub(r"\{\{(\w+)\}\}", lambda label: series["metric"].get(label[1], ""), target["legendFormat"])  # noqa: B023
            rows += [
                {"_time": datetime.fromtimestamp(at, UTC).isoformat(), "series": name, "value": float(number)}
                for at, number in series["values"]
                if number != "NaN"
            ]
    return rows


def value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text or None


def axis(panel: Json) -> Json:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    scale = {"type": "log"} if custom.get("scaleDistribution", {}).get("type") == "log" else {"zero": True}
    title = ", ".join(filter(None, (custom.get("axisLabel"), UNITS.get(panel["fieldConfig"]["defaults"].get("unit")))))
    return {"type": "quantitative", "scale": scale, "title": title}


def long(rows: list[Json], x: str) -> tuple[list[Json], list[str]]:
    names = [name for name in rows[0] if name != x]
    cells = [{x: row[x], "series": name, "value": row[name]} for row in rows for name in names if row[name] is not None]
    return cells, names


def colour(panel: Json, names: list[str]) -> Json:
    """The panel's own colours where it names them; as many columns of the legend as have room."""
    room = panel["gridPos"]["w"] * _CELL - 70
    longest = min(max(len(name) for name in names) * _LETTER, _LABEL) + 30
    legend = {"orient": "bottom", "columns": max(1, int(room // longest)), "title": None, "labelLimit": _LABEL}
    own = {
        name: item["value"]["fixedColor"]
        for name in names
        for override in panel["fieldConfig"]["overrides"]
        for item in override["properties"]
        if item["id"] == "color" and re.search(override["matcher"]["options"].strip("/"), name)
    }
    scheme: Json = {"scheme": "tableau20" if len(names) > 10 else "tableau10"}
    scale = {"domain": names, "range": [own[name] for name in names]} if len(own) == len(names) else scheme
    return {"field": "series", "type": "nominal", "sort": names, "legend": legend, "scale": scale}


def trend(panel: Json, rows: list[Json]) -> Json:
    x = panel["options"]["xField"]
    cells, names = long(rows, x)
    title = next(
        (p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "displayName"), x
    )
    across = {"field": x, "type": "quantitative", "title": title, "scale": {"zero": False}, "axis": {"tickCount": 10}}
    bands = [
        (p["value"], o["matcher"]["options"])
        for o in panel["fieldConfig"]["overrides"]
        for p in o["properties"]
        if p["id"] == "custom.fillBelowTo"
    ]
    layers = [
        {
            "data": {"values": rows},
            "mark": {"type": "area", "opacity": 0.2},
            "encoding": {"x": across, "y": {**axis(panel), "field": low}, "y2": {"field": high}},
        }
        for low, high in bands
    ]
    line = {"x": across, "y": {**axis(panel), "field": "value"}, "color": colour(panel, names)}
    return {"layer": [*layers, {"data": {"values": cells}, "mark": {"type": "line", "point": True}, "encoding": line}]}


def bars(panel: Json, rows: list[Json]) -> Json:
    x = panel["options"]["xField"]
    cells, names = long(rows, x)
    flat = panel["options"]["orientation"] == "horizontal"
    category: Json = {"field": x, "type": "nominal", "sort": [row[x] for row in rows], "title": None}
    label = "length(datum.label) > 34 ? '…' + slice(datum.label, -33) : datum.label"
    category["axis"] = {"labelExpr": label, "labelLimit": 240, "labelOverlap": True} if flat else {"labelAngle": 0}
    place: Json = {("y" if flat else "x"): category, ("x" if flat else "y"): {**axis(panel), "field": "value"}}
    if panel["options"]["stacking"] == "none":
        place["yOffset" if flat else "xOffset"] = {"field": "series", "sort": names}
    else:
        cells = [{**cell, "order": names.index(cell["series"])} for cell in cells]
        place["order"] = {"field": "order"}
    drawn: Json = {"mark": "bar", "encoding": {"color": colour(panel, names)}}
    if any(cell["value"] for cell in cells):
        return {"data": {"values": cells}, **drawn, "encoding": place | drawn["encoding"]}
    place["x" if flat else "y"]["scale"] = {"domain": [0, 1]}  # an axis without a length has no numbers
    zero = {"mark": {"type": "text", "dy": -8}, "encoding": {"text": {"value": "0"}}}
    return {"data": {"values": cells}, "encoding": place, "layer": [drawn, zero]}


def histogram(panel: Json, rows: list[Json]) -> Json:
    names = list(dict.fromkeys(row["series"] for row in rows))
    names.sort(key=lambda name: int(name.split()[0]))
    across = {"field": "pull_seconds", "bin": {"maxbins": panel["options"]["bucketCount"]}, "title": "pull duration, s"}
    up = {"aggregate": "count", "title": "pulls"}
    cells = [{**row, "order": names.index(row["series"])} for row in rows]
    place = {"x": across, "y": up, "order": {"field": "order"}}
    return {"data": {"values": cells}, "mark": "bar", "encoding": {**place, "color": colour(panel, names)}}


def heat_map(panel: Json, rows: list[Json]) -> Json:
    across = {"field": "_time", "type": "temporal", "bin": {"maxbins": 60}, "title": None, "axis": {"format": "%H:%M"}}
    up = {"field": "pull_seconds", "bin": {"maxbins": 24}, "title": "pull duration, s"}
    ink = {"aggregate": "count", "scale": {"scheme": "blues", "type": "sqrt"}, "title": "pulls"}
    return {"data": {"values": rows}, "mark": "rect", "encoding": {"x": across, "y": up, "color": ink}}


def lines(panel: Json, rows: list[Json]) -> Json:
    label = panel["fieldConfig"]["defaults"].get("displayName", "series").rpartition(".")[2].rstrip("}")
    number = next(name for name, cell in rows[0].items() if isinstance(cell, float))
    mark = "bar" if panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars" else "line"
    across = {
        "field": "_time",
        "type": "temporal",
        "title": None,
        "axis": {"tickCount": panel["gridPos"]["w"] // 2 + 2},
    }
    cells = [{**row, "series": row[label]} for row in rows]
    ink = colour(panel, sorted({row["series"] for row in cells}))
    return {
        "data": {"values": cells},
        "mark": mark,
        "encoding": {"x": across, "y": {**axis(panel), "field": number}, "color": ink},
    }


CHARTS: dict[str, Callable[[Json, list[Json]], Json]] = {
    "trend": trend,
    "barchart": bars,
    "histogram": histogram,
    "heatmap": heat_map,
    "timeseries": lines,
}


def table(panel: Json, rows: list[Json]) -> str:
    order = panel["transformations"][0]["options"]["indexByName"] if panel.get("transformations") else {}
    names = sorted(rows[0], key=lambda name: order.get(name, 99)) if rows else []
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(cell(row[name]) for name in names) + "</tr>"
        for row in rows[: (panel["gridPos"]["h"] * _HEIGHT - 60) // _ROW]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def cell(value: Any) -> str:
    """A sentence gives way to the other columns."""
    text = str(value or "")
    kind = ' class="long"' if len(text) > _LONGEST and " " in text else ""
    return f"<td{kind}>{words(value)}</td>"


def words(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
    text = str(cell or "")
    if re.match(r"\d{4}-\d\d-\d\dT", text):
        return text[5:19].replace("T", " ")
    if len(text) > _LONGEST and " " in text:
        return html.escape(text[: 2 * _LONGEST] + "…")
    return html.escape(text if len(text) <= _LONGEST else "…" + text[-_LONGEST:])


def draw(panel: Json) -> tuple[str, Json | None]:
    """The inside of the panel, and its chart."""
    targets = panel["targets"]
    rows = answer(targets[0]["query"]) if "query" in targets[0] else scraped(targets)
    if panel["type"] in CHARTS and rows:
        chart = CHARTS[panel["type"]](panel, rows)
        return "", {
            **chart,
            "width": "container",
            "height": "container",
            "autosize": {"type": "fit", "contains": "padding"},
        }
    if panel["type"] == "stat":
        unit = panel["fieldConfig"]["defaults"].get("unit")
        cell = (rows[-1]["value"] if "value" in rows[-1] else next(iter(rows[0].values()))) if rows else 0.0
        text = f"{cell:.2%}" if unit == "percentunit" else words(cell) + (" s" if unit == "s" else "")
        return f'<div class="big">{text}</div>', None
    return table(panel, rows), None


def page(board: Json) -> str:
    parts, charts = [], []
    for panel in board["panels"]:
        grid = panel["gridPos"]
        place = f"left:{grid['x'] * _CELL}px;top:{grid['y'] * _HEIGHT}px;width:{grid['w'] * _CELL - 6}px"
        title = html.escape(panel["title"].replace("$layers layers", "all layers").replace("${cluster}", "all"))
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="{place}">{title}</div>')
            continue
        inside, chart = draw(panel)
        height = grid["h"] * _HEIGHT - 6
        if chart:
            inside = f'<div id="p{panel["id"]}" style="width:100%;height:{height - 40}px"></div>'
            charts.append((f"#p{panel['id']}", chart))
        parts.append(f'<div class="panel" style="{place};height:{height}px"><h2>{title}</h2>{inside}</div>')
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * _HEIGHT
    script = vl_convert.javascript_bundle("window.draw=(e,s)=>vegaEmbed(e,s,{actions:false});")
    data = json.dumps(charts).replace("<", "\\u003c")
    return (
        f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><h1 style="font-size:16px">'
        f'{html.escape(board["title"])} (simulated)</h1><div id="page" style="height:{bottom}px">{"".join(parts)}</div>'
        f'<script type="module">{script}\nfor(const [e,s] of {data}) draw(e,s);</script>'
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.dashboards.picture_page UID FILE.html; UID as in dashboards/build.py")
    uid, file = sys.argv[1:]
    bucket = os.environ.get("INFLUXDB_V2_BUCKET", "pulls")
    Path(file).write_text(page(dashboards(Bucket(bucket))[uid]))
