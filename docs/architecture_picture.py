"""``python docs/architecture_picture.py``: draw the directions of imports into docs/architecture.md.

They are read from the import-linter contracts in pyproject.toml, which ``./check`` enforces: the picture cannot say
anything else. ``tests/test_architecture.py`` fails while the document has another one.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by docs/architecture_picture.py: begin -->\n", "<!-- end -->\n"
LIBRARY = "pullstudy"

Contract = Mapping[str, Any]
Stack = Sequence[str]  # lines, from the top; what stands on one line is side by side


def contracts(root: Path = ROOT) -> list[Contract]:
    """As they stand in pyproject.toml, in order."""
    found: list[Contract] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return found


def picture(found: Sequence[Contract]) -> str:
    """All that the contracts say, as Markdown. Raises KeyError for a type of contract that it cannot draw."""
    packages = _packages(found)
    may = {package: packages - {package} - _forbidden_to(package, found) for package in packages}
    inner = list(_inner(found, packages))
    return "\n".join([_block(_boxed(_levels(may))), _table(may), *inner])


def _packages(found: Iterable[Contract]) -> set[str]:
    """The packages that contracts between packages speak of."""
    named = {name for contract in found if contract["type"] == "forbidden" for name in contract["source_modules"]}
    named |= {name for contract in found if contract["type"] == "forbidden" for name in contract["forbidden_modules"]}
    return {name for name in named if _is_package(name)}


def _is_package(name: str) -> bool:
    """Whether it is one of the packages of the tree: collector, or pullstudy.store, and nothing inside them."""
    return name.count(".") == name.startswith(f"{LIBRARY}.") and name != LIBRARY


def _forbidden_to(package: str, found: Iterable[Contract]) -> set[str]:
    return {
        name
        for contract in found
        if contract["type"] == "forbidden" and package in contract["source_modules"]
        for name in contract["forbidden_modules"]
    }


def _levels(may: Mapping[str, set[str]]) -> Stack:
    """The packages, each above all that it may import; two that may import each other stand on one line."""
    reach = {package: _reach(package, may) for package in may}
    below = {package: {each for each in reach[package] if package not in reach[each]} for package in may}
    rows: dict[int, list[str]] = {}
    for package in sorted(may):
        rows.setdefault(_depth(package, below), []).append(_short(package))
    return ["   ".join(rows[depth]) for depth in sorted(rows, reverse=True)]


def _reach(package: str, may: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [package]
    while waiting:
        new = may[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def _depth(package: str, below: Mapping[str, set[str]]) -> int:
    return 1 + max((_depth(each, below) for each in below[package]), default=-1)


def _table(may: Mapping[str, set[str]]) -> str:
    rows = [f"| `{_short(package)}` | {_names(may[package])} |" for package in sorted(may, key=_order(may))]
    return "\n".join(["| package | may import |", "|-|-|", *rows, ""])


def _order(may: Mapping[str, set[str]]) -> Any:
    return lambda package: (len(may[package]), package)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{_short(name)}`" for name in sorted(names)) or "none"


def _inner(found: Sequence[Contract], packages: set[str]) -> Iterator[str]:
    """What holds inside the packages: stacks of layers, and single directions."""
    drawn = [part for contract in found for part in _DRAWN[contract["type"]](contract, packages)]
    if drawn:
        yield "Inside the packages a line may import what stands below it, never what is above it or beyond a bar.\n"
        yield from drawn


def _forbidden(contract: Contract, packages: set[str]) -> Iterator[str]:
    for each in contract.get("ignore_imports", ()):
        yield f"{contract['name']}; but `{_short(each)}` is allowed.\n"
    sources = [name for name in contract["source_modules"] if name not in packages]
    inner = [name for name in contract["forbidden_modules"] if name not in packages]
    if sources or inner:
        yield (
            f"{contract['name']}: {_names(sources or contract['source_modules'])} "
            f"never import{'s' if len(sources or contract['source_modules']) == 1 else ''} "
            f"{_names(contract['forbidden_modules'] if sources else inner)}.\n"
        )


def _independence(contract: Contract, packages: set[str]) -> Iterator[str]:
    yield f"{contract['name']}: {_names(contract['modules'])} never import each other.\n"


def _layers(contract: Contract, packages: set[str]) -> Iterator[str]:
    where = contract.get("containers", [])
    title = f"{contract['name']} ({_names(where)}):" if where else f"{contract['name']}:"
    yield f"{title}\n\n{_block([_layer(line) for line in contract['layers']])}"


def _layer(line: str) -> str:
    """Side by side are ``a : b`` and, where neither may import the other, ``a | b``; ``(a)`` need not exist."""
    bar = " | " if "|" in line else "   "
    return bar.join(_short(name.strip().strip("()")) for name in re.split(r"[|:]", line))


_DRAWN = {"forbidden": _forbidden, "independence": _independence, "layers": _layers}


def _boxed(stack: Stack) -> list[str]:
    width = max(map(len, stack))
    edge = f"+{'-' * (width + 2)}+"
    return [edge, *(line for layer in stack for line in (f"| {layer:{width}} |", edge))]


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```", *lines, "```", ""])


def _short(name: str) -> str:
    return name.removeprefix(f"{LIBRARY}.")


def with_picture(text: str, drawn: str) -> str:
    """The document with this picture in place of the one it has."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{drawn}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_picture(DOCUMENT.read_text(), picture(contracts())))
