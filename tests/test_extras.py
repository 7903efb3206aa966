"""Libraries of extras: there or not, what is missing is one line with the command that installs it."""

import sys
from pathlib import Path

import pytest

from pullstudy.extras import MissingExtraError, require


def test_an_installed_module_is_imported() -> None:
    assert require("json.decoder", "report") is sys.modules["json.decoder"]


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.part", "json.no_such_part"])
def test_a_module_that_is_not_installed_is_one_line_with_the_command_that_installs_it(module: str) -> None:
    with pytest.raises(MissingExtraError) as caught:
        require(module, "report")
    line = f"{module.partition('.')[0]} is not installed, and this needs it: pip install 'pullstudy[report]'"
    assert (str(caught.value), caught.value.exit_code) == (line, 2)


def test_what_an_installed_library_itself_misses_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        require("broken_library", "report")
