"""A file that says what a study is: ``study.toml``, or the JSON of upstream's scripts (``uri`` and ``tags``).

What it holds is not looked at here, but for the layout.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from driver.errors import UsageError
from driver.planning.seed_images import TAGS
from driver.planning.wrong_key import near_word


def read_study_file(path: Path) -> dict[str, Any]:
    """Its tables. A byte-order mark, as Windows' editors write it, is no part of it. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"study {path}: {error.strerror}; {_instead(path)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"study {path}: not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8") from error
    return _of_upstream(path, text) if text.lstrip().startswith("{") else _of_toml(path, text)


def _instead(path: Path) -> str:
    near = near_word(str(path), TAGS)
    return f"did you mean --study {near}?" if near else f"give a file (pulldriver init writes one) or {', '.join(TAGS)}"


def _of_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"study {path}: not TOML: {error}") from error


def _of_upstream(path: Path, text: str) -> dict[str, Any]:
    # Source: experiments/pulling-aws of container-chonks, study-run1.json and its siblings.
    try:
        told = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"study {path}: not JSON: {error}") from error
    if set(told) != {"tags", "uri"}:
        raise UsageError(f"study {path}: a study in JSON has the keys tags and uri, not {', '.join(sorted(told))}")
    return {"images": {"repository": told["uri"], "tags": told["tags"]}}
