"""The exported tables as pandas DataFrames, for notebooks: ``frame(Path("pulling-study"), "pulls")``.

Of an InfluxDB: ``frame(of_store(store_settings(os.environ, url=URL), runs=(RUN,)))``.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pullstudy.analysis.errors import ChoiceError
from pullstudy.analysis.export import ALL_LAYERS, TABLES, LayerChoice
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.extras import require

if TYPE_CHECKING:
    import pandas as pd

# Nullable, so that unknown stays unknown: a plain int64 column cannot hold it, and a float one would round bytes.
_DTYPES: dict[type, str] = {
    str: "string",
    int: "Int64",
    float: "Float64",
    bool: "boolean",
    datetime: "datetime64[us, UTC]",
}


def frame(where: Path | StudySource, what: str = "pulls", choice: LayerChoice = ALL_LAYERS) -> "pd.DataFrame":
    """One of the tables of export, with a dtype a column; times are aware, in UTC.

    Raises ChoiceError, NotAStudyError, StoreError, MissingExtraError.
    """
    require("pandas", "report")
    import pandas as pd

    if what not in TABLES:
        raise ChoiceError("table", what, tuple(TABLES))
    with TABLES[what](as_source(where), choice) as table:
        untyped = pd.DataFrame(list(table.rows), columns=table.names, dtype=object)
        return untyped.astype({column.name: _DTYPES[column.kind] for column in table.columns})
