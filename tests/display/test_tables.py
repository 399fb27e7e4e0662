"""Tables as text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from project_cache.display.tables import text_table

SESSIONS = pd.DataFrame(
    {
        "unit_count": [62, 1153],
        "mean": [0.5, np.nan],
        "genotype": ["wt/wt", "Sst-IRES-Cre/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"],
        "areas": [np.array(["VISp", np.nan, "CA1"], dtype=object), np.array(["LGd"], dtype=object)],
    },
    index=pd.Index([7, 12], name="id"),
)


def test_columns_line_up() -> None:
    lines = text_table(SESSIONS, ["unit_count", "areas"], headings={"unit_count": "units"}).splitlines()
    assert lines == [
        "id  units  areas",
        "--  -----  ---------",
        " 7     62  VISp, CA1",
        "12   1153  LGd",
    ]


def test_long_cells_end_in_an_ellipsis_and_missing_ones_are_empty() -> None:
    text = text_table(SESSIONS, ["mean", "genotype"], max_width=12)
    assert "Sst-IRES-Cr…" in text
    assert "nan" not in text.lower()


def test_the_rest_is_counted() -> None:
    assert text_table(SESSIONS, ["unit_count"], max_rows=1).endswith("… and 1 more")


def test_no_rows() -> None:
    assert text_table(SESSIONS.iloc[:0], ["unit_count"]).splitlines()[0].split() == ["id", "unit_count"]
