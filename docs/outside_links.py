"""A hook of mkdocs.yml: links to files of the repository that are no page.

They hold where the docs are read in the repository; the site has no such file, and names it instead.
"""

import os
import re
from typing import Any

from mkdocs.exceptions import PluginError

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)[^)\s]*\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """The page without such links. Raises PluginError at one whose file is not there."""
    directory = os.path.dirname(page.file.abs_src_path)

    def named(found: re.Match[str]) -> str:
        place = os.path.normpath(os.path.join(directory, found[2]))
        if place.startswith(config.docs_dir + os.sep):
            return found[0]
        if not os.path.exists(place):
            raise PluginError(f"{page.file.src_uri} links to {found[2]}, which is not there")
        path = os.path.relpath(place, os.path.dirname(config.docs_dir))
        return f"`{path}`" if found[1].strip("`") in (path, os.path.basename(path)) else f"{found[1]} (`{path}`)"

    return _LINK.sub(named, markdown)
