"""What is easily read wrong: rows of empty cells, the odd cell, far dates, numbers of rows, files of another kind."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from lionk.app.console import BadInput
from lionk.app.tables.columns import Habits
from lionk.app.tables.design import Wishes, apply, table
from lionk.app.tables.file import read
from lionk.app.tables.sheet import emptied


def made(sheet, target="y", **wishes):
    return table(sheet, Wishes(target, **wishes))


def column(cells):
    return "x;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells))


# -- rows --------------------------------------------------------------------------------------------------------


def test_a_row_of_empty_cells_is_a_row_and_a_blank_line_is_none(sheet):
    s = sheet("x,y\n1,2\n,\n\n3,4\n,\n,\n\n")
    assert s.frame["x"].tolist() == ["1", "", "3"] and [s.where(i) for i in range(3)] == ["line 2", "line 3", "line 5"]
    assert s.notes == ("1 blank line(s) within the table left out", "2 empty row(s) at the end left out")
    assert sheet('x\n1\n""\n\n3\n').frame["x"].tolist() == ["1", "", "3"]  # as pandas writes one column
    assert list(sheet(",,\n\nx,,y\n1,2,3\n").frame) == ["x", "column 2", "y"]
    with pytest.raises(BadInput, match="line 3, column 'y': the cell is empty"):
        made(s, missing="error")


def test_rows_of_a_spreadsheet_are_counted_alike(tmp_path):
    pytest.importorskip("openpyxl", reason="writes the spreadsheet of this test")
    frame = pd.DataFrame({"x": [1, None, 3], "y": [2, None, 4]})
    frame.to_excel(tmp_path / "a.xlsx", index=False, startrow=2)
    s = read(tmp_path / "a.xlsx")
    assert len(s.frame) == 3 and s.where(2) == "row 6" and not s.notes


# -- cells -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["\u20131.5", "2", "-3"], [-1.5, 2, -3]),  # a dash for a minus
        (["$\u20131.50", "$2", "$3"], [-1.5, 2, 3]),
        (["1.5D+01", "-2.0d-01", "3"], [15, -0.2, 3]),
        (["1", "\u2014", "n.a.", "4"], [1, 4]),
    ],
)
def test_other_spellings(sheet, cells, expected):
    np.testing.assert_allclose(made(sheet(column(cells))).features[:, 0], expected)


def test_the_one_cell_without_the_unit_of_the_others_is_named(sheet):
    for n in (3, 40):
        cells = [f"{i}.5%" for i in range(n)]
        with pytest.raises(
            BadInput, match=r"line 3, column 'x': '0\.3' lacks the % that the column's other cells have"
        ):
            made(sheet(column([*cells[:1], "0.3", *cells[1:]])))


def test_why_no_column_is_left_says_what_was_seen_in_it(sheet):
    cells = [f"{'<' if i % 9 == 0 else ''}{i / 7:.3f}" for i in range(45)]
    with pytest.raises(BadInput, match=r"45 different: .*; 40 are numbers, but '<0\.000' is not"):
        made(sheet(column(cells)))


DAYS = [f"2024-02-{i + 1:02d}" for i in range(25)]


@pytest.mark.parametrize("odd", ["2024-02-30", "30/02/2024", "2024-13-01", "soon"])
def test_the_one_cell_that_is_no_date_is_named(sheet, odd):
    with pytest.raises(BadInput, match=f"line 4, column 'x': '{odd}' is not a date, as the column's other cells are"):
        made(sheet(column([*DAYS[:2], odd, *DAYS[2:]])))


def test_days_of_two_forms_are_told(sheet):
    t = made(sheet("z," + column([*DAYS[:20], *(f"{i + 1}/1/2024" for i in range(12))]).replace(";", ",")
                   .replace("\n", "\n1,", 32)), missing="mean")  # fmt: skip
    assert "20 are dates of one form, and '1/1/2024' has another" in t.account[1].seen


def test_dates_beyond_nanoseconds(sheet, tmp_path):
    cells = [*DAYS[:5], "9999-12-31", "1066-10-14"]
    days = [(datetime.date.fromisoformat(c) - datetime.date(1970, 1, 1)).days for c in cells]
    expected = np.asarray(days, dtype=float) - days[-1]
    t = made(sheet(column(cells)))
    np.testing.assert_array_equal(t.features[:, 0], expected)
    assert t.account[0].seen.startswith("1066-10-14 to 9999-12-31; 9999-12-31 is there (--empty 9999-12-31")
    frame = pd.DataFrame({"x": np.asarray(cells, dtype="datetime64[s]"), "y": range(7)})
    for kind in ("parquet", "xlsx"):
        pytest.importorskip({"parquet": "pyarrow", "xlsx": "openpyxl"}[kind], reason="writes the file of this test")
        kept = frame if kind == "parquet" else frame[:6]  # a spreadsheet begins in 1900
        (kept.to_parquet if kind == "parquet" else kept.to_excel)(tmp_path / f"a.{kind}", index=False)
        s = read(tmp_path / f"a.{kind}")
        first = min(days[: len(kept)])
        np.testing.assert_array_equal(made(s).features[:, 0], np.asarray(days[: len(kept)], dtype=float) - first)
        assert emptied(s, ("9999-12-31",)).frame["x"].isna().tolist() == [c.startswith("9") for c in cells[: len(kept)]]
    assert made(sheet(column([*DAYS[:5], "0000-00-00"]))).account[0].kind == "date"


def test_what_a_reader_should_look_at_is_told(sheet):
    t = made(sheet("born,sex,y\n" + "".join(f"{i + 13}.01.{60 + i},{'Mm'[i % 2]}ale,{i}\n" for i in range(9))))
    assert t.account[0].seen == "2060-01-13 to 2068-01-21, years of two digits as 1969 to 2068"
    assert t.account[1].seen == "2 different: Male, male; some differ in capitals alone"


# -- columns -----------------------------------------------------------------------------------------------------


def test_what_names_the_rows_is_left_out_wherever_it_begins_and_in_any_order(sheet):
    for values in (range(1000, 1009), [5, 3, 9, 1, 4, 8, 2, 6, 7]):
        assert made(sheet("id,x,y\n" + "".join(f"{v},{v % 3},{i}\n" for i, v in enumerate(values)))).names == ("x",)
    assert made(sheet("id,x,y\n1,1,2\n1,2,3\n2,3,5\n")).names == ("id", "x")


def test_numbers_with_more_digits_than_doubles_have_are_told(sheet, tmp_path):
    rows = "".join(f"{10**17 + i},{i % 3},{i}\n" for i in range(9))
    assert "rounded to 16 digits" in made(sheet("key,x,y\n" + rows)).account[0].seen
    pytest.importorskip("pyarrow", reason="pip install 'lionk[parquet]'")
    pd.DataFrame({"key": 10**17 + np.arange(9), "y": np.arange(9)}).to_parquet(tmp_path / "a.parquet")
    assert "rounded to 16 digits" in made(read(tmp_path / "a.parquet")).account[0].seen


def test_an_index_without_a_name_is_kept(tmp_path):
    pytest.importorskip("pyarrow", reason="pip install 'lionk[parquet]'")
    frame = pd.DataFrame({"x": [1.5, 2, 3], "y": [1.0, 4, 5]})
    for index, names in ((pd.date_range("2024-01-01", periods=3), ("index", "x")), ([7, 3, 9], ("x",)), (None, ("x",))):
        frame.set_axis(range(3) if index is None else index).to_parquet(tmp_path / "a.parquet")
        assert made(read(tmp_path / "a.parquet")).names == names
    frame.assign(x=[1, np.inf, 2]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"a.parquet, row 1, column 'x': inf is not a finite number"):
        made(read(tmp_path / "a.parquet"))


def test_new_cells_of_another_kind_are_named(sheet):
    flags = made(sheet("x,y\nyes,1\nno,2\nyes,3\n")).plan
    assert apply(sheet("x\n1\n0\n"), flags, Habits())[0][:, 0].tolist() == [1, 0]
    for cell in ("7", "maybe", "2024-01-01"):
        with pytest.raises(BadInput, match=f"line 3, column 'x': '{cell}' is not no or yes, as the cells of the fit"):
            apply(sheet(f"x,z\n{'1' if cell == '7' else 'no'},1\n{cell},2\n"), flags, Habits())
    numbers = made(sheet("x,y\n1,1\n9,2\n4,3\n")).plan
    with pytest.raises(BadInput, match="line 2, column 'x': 'yes' is not a number"):
        apply(sheet("x\nyes\nno\n"), numbers, Habits())


# -- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!DOCTYPE html>\n<html></html>\n", "a web page"),
        ("\n <HTML lang='en'>", "a web page"),
        ("<?xml version='1.0'?>\n", "XML"),
        ('[{"u": 1}]', "JSON"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(sheet, text, kind):
    with pytest.raises(BadInput, match=f"is {kind}, not a table in text"):
        sheet(text)
    with pytest.raises(BadInput, match="line 3 has zero bytes"):
        sheet(b"x,y\n1,2\n3,\0\n")


def test_a_name_less_than_cells_is_asked_for_unless_rows_have_names(sheet):
    with pytest.raises(BadInput, match=r"line 1: 2 names, but the lines below have 3 cells; .* commas mark decimals"):
        sheet("x,y\n1,5,2\n1,7,3\n2,5,4\n")
    assert list(sheet("x,y\na,5,2\nb,7,3\nc,5,4\n").frame) == ["column 1", "x", "y"]


def test_quotes_behind_a_backslash_are_named(sheet):
    with pytest.raises(BadInput, match=r"the row from line 2: .* is there a quote that is not closed\?"):
        sheet('k,y\n"a\\"b",1\n"c",2\n')
    assert sheet('k,y\n"C:\\",1\n"c",2\n').frame["k"].tolist() == ["C:\\", "c"]


def test_a_separator_that_was_not_found_is_asked_for(sheet):
    with pytest.raises(BadInput, match=r"--target is one of: x:y, .*--separator says what stands between them"):
        made(sheet("x:y\n1:2\n2:3\n"))
