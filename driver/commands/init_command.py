"""``pulldriver init``."""

import json
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from driver.commands.docs_command import read_page
from driver.commands.options import StudyFile
from driver.errors import UsageError
from driver.planning.study import Overrides, Study, load_study

_STUDY_FILE = Path("study.toml")


def init_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write; it must not be there.")] = _STUDY_FILE,
    study: StudyFile = None,
) -> None:
    """Write a study.toml to change: every key with its default and what it means, and the images of a study.

    Examples:

      pulldriver init

      pulldriver init mine.toml --study quick

      pulldriver init upstream.toml --study study-run1.json
    """
    text = commented_study(load_study(study, Overrides()))
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already, and stays as it is; name another") from error
    named = shlex.quote(str(file))
    print(f"{named}: name your images in [images]\nnext: pulldriver plan --study {named}")


def commented_study(study: Study) -> str:
    """The page's block, which has all defaults and their comments, with this study's name and images."""
    found = re.search(r"```toml\n(.*?)```", read_page("study"), re.DOTALL)
    assert found is not None  # its test reads it
    tags = "".join(f"  {json.dumps(tag)},\n" for tag in study.images.tags)
    text = re.sub(r'(?<=^name = )"[^"]*"', lambda _: json.dumps(study.name), found[1])
    text = re.sub(r'(?<=\nrepository = )"[^"]*"', lambda _: json.dumps(study.images.repository), text)
    return re.sub(r"(?<=\ntags = \[)([^\n]*\n).*?(?=\]\n)", lambda comment: comment[1] + tags, text, flags=re.DOTALL)
