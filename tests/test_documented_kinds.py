"""The docs list what the table of kinds has, and nothing else."""

from tests.documented_kinds import BLOCKS, pages


def test_the_docs_list_the_columns_of_the_table_of_kinds() -> None:
    differing = [path.name for path, text in pages().items() if path.read_text() != text]
    assert differing == [], "rewrite them: python -m tests.documented_kinds"


def test_every_list_stands_in_a_page() -> None:
    text = "".join(path.read_text() for path in pages())
    assert [name for name in BLOCKS if f"<!-- kinds: {name} -->" not in text] == []
