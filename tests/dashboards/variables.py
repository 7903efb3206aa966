"""A query's text as Grafana sends it: variables in their format, then the time range and the interval.

By Grafana's templateSrv (format ``regex``, a custom value for All is put in as it is) and by its InfluxDB data source
(v.timeRangeStart, v.timeRangeStop, v.windowPeriod).
"""

import re
from collections.abc import Mapping, Sequence

ALL: tuple[str, ...] = ()
START, STOP, PERIOD = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z", "10s"
_VARIABLE = re.compile(r"\$\{(\w+):(\w+)\}")
_SPECIAL = re.compile(r"[\\^$*+?.()|[\]{}/]")


def substituted(query: str, chosen: Mapping[str, Sequence[str]] | None = None) -> str:
    """The text with the chosen values; All where nothing is chosen."""

    def value(match: re.Match[str]) -> str:
        assert match[2] == "regex", f"{match[0]}: a value from an event is only safe in a regular expression"
        values = [_SPECIAL.sub(lambda special: "\\" + special[0], text) for text in (chosen or {}).get(match[1], ALL)]
        return ".*" if not values else values[0] if len(values) == 1 else f"({'|'.join(values)})"

    text = _VARIABLE.sub(value, query)
    return text.replace("v.timeRangeStart", START).replace("v.timeRangeStop", STOP).replace("v.windowPeriod", PERIOD)
