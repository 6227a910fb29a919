"""What files leave in doubt: units, words that stand for nothing, several encodings, typed and nested cells, sheets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lionk.app.console import BadInput
from lionk.app.tables import cells
from lionk.app.tables.columns import Habits
from lionk.app.tables.design import Wishes, apply, table
from lionk.app.tables.file import read
from lionk.app.tables.sheet import Reading, Sheet, emptied


def made(sheet, target="y", **wishes):
    return table(sheet, Wishes(target, **wishes))


def use(t):
    return {line.name: line.use for line in t.account}


def test_codes_are_no_numbers_with_a_unit(sheet):
    t = made(sheet("quarter,shop,y\nQ1,12a,1\nQ2,12b,2\nQ1,13a,3\nQ2,12a,4\n"))
    assert t.names == ("quarter=Q1", "quarter=Q2", "shop=12a", "shop=12b", "shop=13a")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("12 kg,1\n13 kg,2\n15 kg,1\n", False),
        ("$5,$1\n$6,$2\n$8,$1\n", False),
        ("5 km,y\n12,1\n14,2\n", True),
        ("5 km,y\n12 kg,1\n14 kg,2\n", True),
    ],
)
def test_a_first_line_with_the_units_of_the_rest_is_a_row(sheet, text, names):
    assert sheet(text).names is names


def test_new_rows_have_the_unit_of_the_fit(sheet):
    t = made(sheet("w,y\n1 kg,1\n2 kg,2\n3 kg,3\n"))
    assert t.plan[0].unit == "kg" and "in kg" in t.account[0].seen
    apply(sheet("w\n4 kg\n"), t.plan, Habits())
    apply(sheet("w\n4\n"), t.plan, Habits())
    with pytest.raises(BadInput, match="column 'w': the numbers are in lb, and the model was fitted to numbers in kg"):
        apply(sheet("w\n4 lb\n"), t.plan, Habits())


def test_errors_of_spreadsheets_are_empty(sheet):
    t = made(sheet("x,y\n1,1\n#DIV/0!,2\n3,3\n#REF!,4\n"), missing="mean")
    np.testing.assert_array_equal(t.features[:, 0], [1, np.nan, 3, np.nan])


def test_words_for_nothing_are_told_and_may_be_named(sheet):
    text = "age,x,y\n" + "".join(
        f"{'refused' if i % 5 == 0 else i},{-999 if i % 7 == 0 else i},{i}\n" for i in range(30)
    )
    t = made(sheet(text))
    assert "24 are numbers, but 'refused' is not (--empty" in t.account[0].seen
    assert t.account[1].seen == "-999 to 29; -999 is there 5 times (--empty -999 if it stands for nothing)"
    t = made(emptied(sheet(text), ("Refused", "-999")), missing="mean")
    assert [line.kind for line in t.account[:2]] == ["number", "number"]
    assert np.isnan(t.features).sum(axis=0).tolist() == [6, 5]
    frame = pd.DataFrame({"n": [1, -999, 3], "s": ["a", "refused", "b"], "b": [True, False, True]})
    read_ = emptied(Sheet("t", frame, str), ("refused", "-999")).frame
    assert read_["n"].isna().tolist() == [False, True, False] and read_["s"].tolist() == ["a", "", "b"]


def test_values_that_are_merely_far_are_not_asked_about(sheet):
    for far in ("-999", "-998"):  # once, and no such number
        rows = "".join(f"{far if i == 0 or (far == '-998' and i == 1) else i},{i}\n" for i in range(9))
        assert "--empty" not in made(sheet("x,y\n" + rows)).account[0].seen


def test_lines_of_two_encodings(sheet):
    rows = [f"Orl\u00e9ans{i % 2},{i}\n".encode("latin-1" if i % 3 == 0 else "utf-8") for i in range(9)]
    s = sheet(b"city,y\n" + b"".join(rows))
    assert set(s.frame["city"]) == {"Orl\u00e9ans0", "Orl\u00e9ans1"}
    assert s.notes == ("read 3 line(s) as cp1252, as they are not UTF-8 like the rest; the first is line 2",)


def test_a_column_that_is_not_there_is_asked_for_with_what_was_read(sheet):
    with pytest.raises(BadInput, match=r"no column 'Y' \(did you mean 'y'\?\)"):
        made(sheet("x,y\n1,2\n3,4\n"), "Y")
    with pytest.raises(BadInput, match="read as cp1252, as it is not UTF-8"):
        made(sheet("\u90fd,\u5024\n1,2\n".encode("shift_jis")), "\u5024")


def test_types_of_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="pip install 'lionk[parquet]'")
    n = 4
    frame = pd.DataFrame(
        {
            "tags": [["a", "b"]] * n, "record": [{"k": 1}] * n, "bytes": [b"u", b"v"] * 2,
            "lasted": pd.to_timedelta([6, 12, None, 24], unit="h"),
            "at": pd.date_range("2024-01-01", periods=n, tz="Europe/Berlin"), "y": np.arange(n) / 7,
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "a.parquet")
    t = made(read(tmp_path / "a.parquet"), missing="mean")
    assert t.names == ("bytes=u", "bytes=v", "lasted", "at")
    assert use(t)["tags"] == use(t)["record"] == "left out: its cells are lists or records"
    np.testing.assert_array_equal(t.features[:, 2], [0.25, 0.5, np.nan, 1])
    assert t.account[4].seen == "2023-12-31 to 2024-01-03, in UTC"


def test_ends_that_differ_in_late_digits_are_shown_so(sheet):
    t = made(sheet("ms,y\n" + "".join(f"{1_700_000_000_000 + 60_000 * i},{i / 7}\n" for i in range(5))))
    assert t.account[0].seen == "1700000000000 to 1700000240000"


def test_sheets_by_name_in_any_case_and_by_number(tmp_path):
    pytest.importorskip("openpyxl", reason="pip install openpyxl")
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame({"Notes": ["see Data"]}).to_excel(book, sheet_name="ReadMe", index=False)
        pd.DataFrame({"x": [1, 2], "y": [3, 4]}).to_excel(book, sheet_name="Data", index=False)
    for name in ("Data", "data", "1"):
        assert list(read(tmp_path / "a.xlsx", Reading(sheet=name)).frame) == ["x", "y"]
    with pytest.raises(BadInput, match="give one of these, or its number from 0"):
        read(tmp_path / "a.xlsx", Reading(sheet="2"))
    with pytest.raises(
        BadInput, match=r"--target is one of: Notes, or a number from 0; read the sheet 'ReadMe' of 2 .*Data"
    ):
        made(read(tmp_path / "a.xlsx"))


def test_only_what_may_be_a_date_is_tried_in_every_format():
    may = [
        "2024-01-31T10:20:30Z",
        "5-Jan-24",
        "Mon, 05 Feb 2024",
        "3 September 2024",
        "10:30 PM",
        "2024-01-01 10:00 UTC",
    ]
    never = ["TCGA-0001", "row12", "A-1", "12 rooms", "2024Q1", "1234567890" * 5]
    assert all(map(cells.DATE_LIKE.fullmatch, may))
    assert not any(map(cells.DATE_LIKE.fullmatch, never))
