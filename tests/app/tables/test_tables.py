"""Tables as people have them: what is read, what is told of it, and that nothing doubtful is guessed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from lionk.app.console import BadInput
from lionk.app.tables.design import Wishes, split, table
from lionk.app.tables.file import read
from lionk.app.tables.sheet import Reading


def made(sheet, target="y", **wishes):
    return table(sheet, Wishes(target, **wishes))


def use(t):
    return {line.name: line.use for line in t.account}


# -- separators, decimals, thousands -----------------------------------------------------------------------------

ROWS = [("1.5", "2", "a"), ("-2.25", "3", "b"), ("1e3", "4", "a"), (".5", "1", "b")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_and_line_ends(sheet, separator, end, mark):
    text = mark + end.join(separator.join(row) for row in [("u", "v", "y"), *ROWS]) + end
    t = made(sheet(text))
    assert t.names == ("u", "v")
    np.testing.assert_array_equal(t.features, [[1.5, 2], [-2.25, 3], [1000, 4], [0.5, 1]])
    assert t.target.tolist() == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x;y\n1,5;1\n2,25;2\n", [1.5, 2.25]),
        ("x;y\n1.234,5;1\n2.000,25;2\n", [1234.5, 2000.25]),
        ('x,y\n"1,234",1\n"12,345",2\n', [1234, 12345]),
        ('x,y\n"1,234.5",1\n"1,234,567.25",2\n', [1234.5, 1234567.25]),
        ('x,y\n"1,5",1\n"2,5",2\n', [1.5, 2.5]),
        ("x;z;y\n1.234;1,5;1\n5.000;2,5;2\n", [1234, 5000]),  # the second column tells how to read the first
        ("x;z;y\n1,234;1.5;1\n5,000;2.5;2\n", [1234, 5000]),
        ("x;y\n1 234,5;1\n12\u00a0345,5;2\n", [1234.5, 12345.5]),
        ("x;y\n1'234.5;1\n12'345.5;2\n", [1234.5, 12345.5]),
        ("x,y\n$1.50,1\n$20,2\n", [1.5, 20]),
        ("x;y\n1,50 \u20ac;1\n20 \u20ac;2\n", [1.5, 20]),
        ("x,y\n12.5%,1\n3%,2\n", [12.5, 3]),
        ("x,y\n\u22125,1\n+3,2\n", [-5, 3]),
        ("x,y\n1.234,1\n2.345,2\n", [1.234, 2.345]),
        ("x,y\n0.125,1\n1E-3,2\n", [0.125, 1e-3]),
        ("x,y\n(10),1\n20,2\n", [-10, 20]),
        ("x,y\n-$10,1\n$20,2\n", [-10, 20]),
        ("x,y\n$-10.5,1\n$20,2\n", [-10.5, 20]),
        ("x,y\n($10),1\n$20,2\n", [-10, 20]),
        ("x;y\n-10,5 \u20ac;1\n1.020 \u20ac;2\n", [-10.5, 1020]),
        ("x,y\n\u221212%,1\n3%,2\n", [-12, 3]),
        ("x,y\n12.5 kg,1\n-3 kg,2\n", [12.5, -3]),
        ("x,y\n21.5\u00b0C,1\n-3\u00b0C,2\n", [21.5, -3]),
        ("x;y\n1.234,50 EUR;1\n(20,00 EUR);2\n", [1234.5, -20]),
        ("x,y\n12.5 km/h,1\n3 km/h,2\n", [12.5, 3]),
        ("x,y\n12.5 kg/m^2,1\n-3 kg/m^2,2\n", [12.5, -3]),
        ("x,y\n45\u00b0,1\n-3\u00b0,2\n", [45, -3]),
        ("x,y\nUS$12.50,1\n-US$3,2\n", [12.5, -3]),
        ("x;y\nR$ 12,50;1\nR$ 1.300;2\n", [12.5, 1300]),
        ("x,y\n\u20b912,1\n\u20b9300,2\n", [12, 300]),
        ("x,y\nUSD 12.50,1\nUSD -3,2\n", [12.5, -3]),
        ('x,y\n"1,23,456",1\n"12,34,567.5",2\n', [123456, 1234567.5]),
    ],
)
def test_numbers_as_people_write_them(sheet, text, expected):
    assert made(sheet(text)).features[:, 0].tolist() == expected


def test_what_the_user_says_of_decimals_is_followed(sheet):
    text = "x;y\n1,234;1\n2,345;2\n"
    with pytest.raises(BadInput, match="--decimal"):
        made(sheet(text))
    assert made(sheet(text), decimal=",").features[:, 0].tolist() == [1.234, 2.345]
    assert made(sheet(text), decimal=".").features[:, 0].tolist() == [1234, 2345]


def test_points_in_a_table_of_semicolons_are_asked_for_where_nothing_tells(sheet):
    text = "x;y\n1.234;1\n2.345;2\n"
    with pytest.raises(BadInput, match=r"line 2, column 'x': '1.234' may be a number with decimals or with thousands"):
        made(sheet(text))
    assert made(sheet(text), decimal=".").features[:, 0].tolist() == [1.234, 2.345]
    assert made(sheet(text), decimal=",").features[:, 0].tolist() == [1234, 2345]
    assert made(sheet("x;y\n1.234;1\n2.34;2\n")).features[:, 0].tolist() == [1.234, 2.34]
    assert made(sheet("x;y\n1.234;1\n0.345;2\n")).features[:, 0].tolist() == [1.234, 0.345]


def test_underscores_make_no_numbers(sheet):
    names = "".join(f"{100 + i}_{i % 2},{i % 2},{i}\n" for i in range(8))
    t = made(sheet("code,x,y\n" + names))
    assert t.names == ("x",)
    assert use(t)["code"] == "left out: every row has a text of its own"
    t = made(sheet("code,y\n" + "1_0,1\n1_0,2\n2_0,3\n"), categorical=("code",))
    assert t.names == ("code=1_0", "code=2_0")


# -- the first line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2019,2020,2021\n0.1,0.2,1.5\n0.3,0.1,1.7\n0.5,.4,1.2\n", True),
        ("city,2019,2020\nA,1,2\nB,3,4\n", True),
        (",2019,2020\n1,1.5,2\n2,3,4\n", True),
        ("1100,1102,1104\n0.1,0.2,0.4\n0.3,0.1,0.2\n", True),  # wavelengths
        ("0,1\n0.1,8.2\n9.3,0.1\n", False),
        ("0,1,2,3\n5.1,3.5,1.4,setosa\n4.9,3.0,1.4,setosa\n7.0,3.2,4.7,versicolor\n", True),  # as pandas writes
        (",0,1,2\n0,0.1,8.2,1.4\n1,9.3,0.1,7.2\n", True),
        ("1,2\n2,3\n3,5\n", False),
        ("5.1,3.5,1.4,setosa\n4.9,3.0,1.4,setosa\n7.0,3.2,4.7,versicolor\n", False),
        ("setosa,virginica\nsetosa,a\nvirginica,b\n", False),
        ("name,kind\na,b\nc,d\n", True),
        ("5,3,9\n1,2,3\n2,8,1\n", False),
        ("a,b\n", True),
    ],
)
def test_names_and_samples(sheet, text, names):
    s = sheet(text)
    assert s.names is names
    assert len(s.frame) == text.count("\n") - names
    assert sheet(text, header=not names).names is not names


def test_a_doubtful_first_line_is_asked_for_and_a_strange_one_is_told(sheet):
    with pytest.raises(BadInput, match="--header if it holds names, --no-header"):
        sheet("2001,2002\n2005,2003\n2001,2004\n")
    with pytest.raises(BadInput, match="the first line, 0, 1, 2, counts the columns and may hold names or values"):
        sheet("0,1,2\n0.1,8.2,1.4\n9.3,0.1,7.2\n")
    assert any("--no-header" in note for note in sheet("2019,2020\n.1,.2\n.4,.3\n.2,.6\n").notes)


def test_names_that_are_repeated_among_the_rows(sheet):
    s = sheet("a,k,y\n1,u,2\na,k,y\n4,v,6\n")
    assert s.frame["a"].tolist() == ["1", "4"] and s.where(1) == "line 4"
    assert s.notes == ("1 line(s) left out that repeat the names, the first line 3",)


def test_columns_that_are_set_under_each_other(sheet):
    rows = "".join(f'{i}.0   {i % 3}     {i * 7}.5\t"car number {i % 4}"\n' for i in range(9))
    s = sheet(rows, name="auto.data")
    assert s.frame.shape == (9, 4) and not s.names
    assert made(s, target="0").names == ("1", "2", *(f"3=car number {i}" for i in range(4)))


def test_names_that_are_missing_or_occur_again(sheet):
    s = sheet("a,,a,a,y\n1,2,3,4,5\n2,3,5,4,9\n")
    assert list(s.frame) == ["a", "column 2", "a (2)", "a (3)", "y"]
    assert any("occur again: a (2), a (3)" in note for note in s.notes)
    with pytest.raises(BadInput, match="two columns are named 'a'"):
        made(s, target="a")
    assert made(s, target="2").target_name == "a (2)"


def test_comments_and_names_behind_a_hash(sheet, tmp_path):
    assert list(sheet("# made by hand\n\nsep=;\na;y\n1;2\n2;3\n").frame) == ["a", "y"]
    s = sheet("# a comment\na,y\n1,2\n2,x,3\n".replace("x,", ""))
    assert s.where(1) == "line 4"
    np.savetxt(tmp_path / "b.txt", np.ones((3, 2)), header="u v")
    assert list(read(tmp_path / "b.txt").frame) == ["u", "v"]


# -- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", False), ("latin-1", True), ("utf-16", True), ("utf-16-le", True), ("utf-16-be", True)],
)
def test_encodings(sheet, encoding, told):
    s = sheet("Gr\u00f6\u00dfe,y\n1,\u00e9\n2,b\n".encode(encoding))
    assert list(s.frame) == ["Gr\u00f6\u00dfe", "y"]
    assert any(note.startswith("read as ") for note in s.notes) is told
    assert sheet("\u0416,y\n1,2\n".encode("cp1251"), encoding="cp1251").frame.columns[0] == "\u0416"


def test_quotes_hold_separators_line_ends_and_quotes(sheet):
    s = sheet('"a,b","say ""hi""",y\n1,2,"x\ny"\n2,3,z\n4,,\n')
    assert list(s.frame) == ["a,b", 'say "hi"', "y"]
    assert s.where(1) == "line 4" and s.where(2) == "line 5"
    assert split('a,b,say "hi"', s) == ("a,b", 'say "hi"')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,y\n1,2\n1,2,3\n", "line 3: 3 cells, but most lines have 2; mend or delete the line"),
        ("x,y\n1,2\n\n1\n", "line 4: 1 cell, but most lines have 2"),
        ("# c\nx,y\n1,2\n1\n", "line 4: 1 cell, but most lines have 2"),
        ("Sales of 2024\n\nx,y,z\n1,2,3\n3,4,5\n", "line 1: 1 cell, but most lines have 3; delete it if it is a title"),
        ("Sales of 2024\nx;y;z\n1,5;2;1\n3,5;4;1\n", "line 1: 1 cell, but most lines have 3; .* if ';' does not"),
        ("Sales,,\nx,z,y\n1,2,3\n3,4,5\n", "the first line names 1 of 3 columns; delete it if it is a title"),
        ('x,z,y\n"a\nb",1,2\n1,2,3,4\n', "line 4: 4 cells"),
        ('x,y\n1,2\n"3,4\n', "the row from line 3"),
    ],
)
def test_ragged_lines_are_named(sheet, text, says):
    with pytest.raises(BadInput, match=says):
        sheet(text)


def test_lines_that_end_with_a_separator(sheet):
    for head in ("x,y,", "x,y", '"x ",y'):
        t = made(sheet(head + "\n1,2,\n3,4,\n"))
        assert t.names == ("x",) and t.features.tolist() == [[1.0], [3.0]] and t.target.tolist() == [2.0, 4.0]
    t = made(sheet('"a\nb",y\r\n1,2,\r\n3,4,\r\n'))
    assert t.names == ("a\nb",) and t.target.tolist() == [2.0, 4.0]
    t = made(sheet('x,y\n"a",1,2\n"a",3,4\n"b",5,\n'))  # names of rows, and a gap
    assert t.names == ("column 1=a", "column 1=b", "x") and t.target.tolist() == [2.0, 4.0]
    assert sheet("x,y\r1,2\r3,4\r").frame["x"].tolist() == ["1", "3"]


def test_compressed_text(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n3,4\n"))
    assert made(read(tmp_path / "a.csv.gz")).features.tolist() == [[1.0], [3.0]]
    (tmp_path / "b.csv.gz").write_bytes(b"x,y\n1,2\n")
    with pytest.raises(BadInput, match="gzip"):
        read(tmp_path / "b.csv.gz")


@pytest.mark.parametrize(("name", "pack"), [("a.csv.bz2", bz2.compress), ("a.csv.xz", lzma.compress)])
def test_other_ways_to_pack(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(b"x,y\n1,2\n3,4\n"))
    assert made(read(tmp_path / name)).features.tolist() == [[1.0], [3.0]]
    (tmp_path / name).write_bytes(pack(b"x,y\n1,2\n" * 400)[:-9])
    with pytest.raises(BadInput, match="damaged"):
        read(tmp_path / name)


def archive(path, files):
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


def test_an_archive_with_one_table(tmp_path):
    path = archive(tmp_path / "a.zip", {"__MACOSX/a": "-", "folder/a.csv": "x,y\n1,2\n3,4\n"})
    s = read(path)
    assert made(s).features.tolist() == [[1.0], [3.0]]
    with pytest.raises(BadInput, match=r"holds 2 files \(a.csv, b.csv\); unpack it"):
        read(archive(tmp_path / "b.zip", {"a.csv": "x,y\n", "b.csv": "x,y\n"}))
    with pytest.raises(BadInput, match=r"holds a.xlsx; packed tables are text"):
        read(archive(tmp_path / "c.zip", {"a.xlsx": "-"}))
    path.rename(tmp_path / "a.csv")
    with pytest.raises(BadInput, match=r"is a zip archive or a spreadsheet .*, not a table in text"):
        read(tmp_path / "a.csv")


FRAME = pd.DataFrame(
    {
        "kind": ["a", "b", None, "a", "b"],
        "size": [1.5, 2.5, 3.5, np.nan, 5.5],
        "count": [1, 2, 3, 4, 6],
        "good": [True, False, True, True, False],
        "day": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-02", "2024-01-05", "2024-01-09"]),
    }
)
NUMBERS = np.asarray([[1.5, 1, 1, 0], [2.5, 2, 0, 2], [5.5, 6, 0, 8]])


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx", "a.parquet"])
def test_the_same_table_in_every_format(tmp_path, name):
    path = tmp_path / name
    if name == "a.xlsx":
        pytest.importorskip("openpyxl", reason="writes the spreadsheet of this test")
        FRAME.to_excel(path, index=False)
    elif name == "a.parquet":
        pytest.importorskip("pyarrow", reason="the extra 'parquet'")
        FRAME.to_parquet(path)
    else:
        FRAME.to_csv(path, index=False)
    t = made(read(path), target="kind")
    np.testing.assert_allclose(t.features, NUMBERS)
    assert t.target.tolist() == ["a", "b", "b"]
    assert [line.kind for line in t.account] == ["text", "number", "number", "flag", "date"]
    assert use(t)["day"] == "days since the first"


def test_a_sheet_is_chosen_by_name(tmp_path):
    pytest.importorskip("openpyxl", reason="writes the spreadsheet of this test")
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        FRAME.to_excel(book, sheet_name="one", index=False)
        FRAME[["count", "size"]].to_excel(book, sheet_name="two", index=False)
    assert "of 2" in read(tmp_path / "a.xlsx").notes[-1]
    assert list(read(tmp_path / "a.xlsx", Reading(sheet="two")).frame) == ["count", "size"]
    with pytest.raises(BadInput, match=r"--sheet three: .* has one, two"):
        read(tmp_path / "a.xlsx", Reading(sheet="three"))


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.npy", "a.csv.gz"])
def test_damaged_files_are_one_sentence(tmp_path, name):
    if name == "a.parquet":
        pytest.importorskip("pyarrow", reason="the extra 'parquet'")
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing of the kind")
    with pytest.raises(BadInput, match=name):
        read(tmp_path / name)


# -- kinds of columns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2024-01-01", "2024-01-03"], [0, 2]),
        (["2024-01-01 06:00", "2024-01-01 18:00:30"], [0, 0.5 + 30 / 86400]),
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+01:00"], [1 / 24, 0]),
        (["31.12.2023", "2.1.2024"], [0, 2]),
        (["2024-01-01 10:00:00 UTC", "2024-01-03 22:00:00 UTC"], [0, 2.5]),
        (["13/02/2024", "01/02/2024"], [12, 0]),
        (["02/13/2024", "02/01/2024"], [12, 0]),
        (["2024/02/01", "2024/02/03"], [0, 2]),
        (["5 Jan 2024", "7 Jan 2024"], [0, 2]),
        (["Jan 5, 2024", "Jan 7, 2024"], [0, 2]),
        (["1-Feb-24", "3-Feb-24"], [0, 2]),
        (["2024-01", "2024-03"], [0, 60]),
        (["Jan 2024", "Mar 2024"], [0, 60]),
        (["March 2024", "January 2024"], [60, 0]),
        (["Jan-24", "Mar-24"], [0, 60]),
        (["01/2024", "03/2024"], [0, 60]),
        (["20240131", "20240201"], [0, 1]),
        (["06:00", "18:00"], [0, 0.5]),
    ],
)
def test_dates(sheet, cells, values):
    t = made(sheet("x;y\n" + "".join(f"{c};{i}\n" for i, c in enumerate(cells))))
    np.testing.assert_allclose(t.features[:, 0], values, atol=1e-9)
    assert t.account[0].kind == "date"


def test_day_and_month_are_told_apart_or_asked_for(sheet):
    text = "x,y\n01/02/2024,1\n03/05/2024,2\n"
    with pytest.raises(BadInput, match="line 2, column 'x': '01/02/2024' may begin with the day"):
        made(sheet(text))
    np.testing.assert_allclose(made(sheet(text), day_first=True).features[:, 0], [0, 92])
    np.testing.assert_allclose(made(sheet(text), day_first=False).features[:, 0], [0, 63])


@pytest.mark.parametrize("pair", [("no", "yes"), ("False", "True"), ("N", "Y"), ("f", "t"), ("OFF", "on")])
def test_yes_and_no(sheet, pair):
    t = made(sheet(f"x,y\n{pair[1]},1\n{pair[0]},2\n{pair[1].upper()},3\n"))
    assert t.features[:, 0].tolist() == [1, 0, 1]
    t = made(sheet(f"x,y\n1,{pair[1]}\n2,{pair[0]}\n"))
    assert t.target.tolist() == [pair[1].lower(), pair[0].lower()]


def test_texts_are_indicators_of_their_levels(sheet):
    text = "x,y\nb,1\na,2\nc,3\na,4\n"
    t = made(sheet(text))
    assert t.names == ("x=a", "x=b", "x=c")
    assert t.features.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert made(sheet(text), drop_first=True).names == ("x=b", "x=c")
    numbers = sheet("x,y\n1,1\n2,2\n1,3\n")
    assert made(numbers, categorical=("x",)).names == ("x=1", "x=2")


def test_one_wrong_cell_is_named_and_many_make_a_text(sheet):
    good = "".join(f"{i},{i}\n" for i in range(60))
    with pytest.raises(BadInput, match="line 62, column 'x': 'oops' is not a number, as the column's other cells are"):
        made(sheet("x,y\n" + good + "oops,1\n"))
    dates = "".join(f"2024-01-{i + 1:02d},{i}\n" for i in range(28))
    with pytest.raises(BadInput, match="line 30, column 'x': 'oops' is not a date"):
        made(sheet("x,y\n" + dates + "oops,1\n"))
    tickets = "".join(f"{'A/' if i % 3 else ''}{i},{i % 7},{i}\n" for i in range(60))
    assert use(made(sheet("ticket,x,y\n" + tickets)))["ticket"].startswith("left out")


def test_what_numbers_the_rows_is_left_out_but_can_be_asked_for(sheet):
    rows = "".join(f"{i},{i % 3},{i * i % 7}\n" for i in range(9))
    for name in ("", "id", "PassengerId", "Unnamed: 0", "index", "row_id"):
        t = made(sheet(f"{name},x,y\n" + rows))
        assert t.names == ("x",), name
    assert made(sheet("time,x,y\n" + rows)).names == ("time", "x")
    assert made(sheet("id,x,y\n" + rows), columns=("id", "x")).names == ("id", "x")
    r = sheet('"x" "y"\n"a" 1 2\n"b" 3 5\n"c" 2 4\n', name="r.txt")  # R's write.table
    assert made(r).names == ("x",)


def test_columns_to_use_and_to_leave_out(sheet):
    s = sheet("a,b,c,y\n1,2,3,4\n2,3,5,9\n")
    assert made(s, columns=("c", "a")).names == ("a", "c")
    assert made(s, drop=("b", "2")).names == ("a",)
    assert use(made(s, drop=("b",)))["b"] == "left out, as asked"


# -- what is missing ---------------------------------------------------------------------------------------------

GAPS = "x,k,y\n1,a,1\n,a,2\n3,NA,3\n5,b,4\n4,b,\n"


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "null", "None", "?", ".", "#N/A", "-"])
def test_words_for_nothing(sheet, word):
    t = made(sheet(f"x,y\n1,1\n{word},2\n3,3\n"))
    assert t.features[:, 0].tolist() == [1, 3]


def test_words_for_nothing_are_told(sheet):
    account = made(sheet("country,x,y\nDE,1,1\nNA,2,2\nDE,?,3\nFR,4,4\n,5,5\n")).account
    assert account[0].seen == "2 different: DE, FR; 2 empty (also NA)" and account[1].seen == "1 to 5; 1 empty (also ?)"


def test_a_target_that_is_empty_is_named(sheet):
    with pytest.raises(BadInput, match="'y' is empty in all rows but 1; at least 2 are needed"):
        made(sheet("x,y\n1,\n2,\n3,4\n"), missing="mean")


def test_numbers_that_are_no_days_stay_numbers(sheet):
    for third in ("20240230", "7", "99999999"):
        assert made(sheet(f"x,y\n20240131,1\n20240201,2\n{third},3\n")).account[0].kind == "number"


def test_rows_with_gaps_are_dropped_kept_or_refused(sheet):
    t = made(sheet(GAPS))
    assert t.target.tolist() == [1, 4]
    assert "1 row(s) without 'y' dropped" in t.notes
    assert any(note.startswith("2 of 5 rows dropped") for note in t.notes)
    t = made(sheet(GAPS), missing="mean")
    assert t.target.tolist() == [1, 2, 3, 4]
    assert np.isnan(t.features[1, 0]) and np.isnan(t.features[2, 1:]).all()
    with pytest.raises(BadInput, match="line 3, column 'x': the cell is empty; fill it, or give --missing drop"):
        made(sheet(GAPS), missing="error")


def test_columns_that_are_nearly_empty_are_left_out_and_told(sheet):
    rows = "".join(f"{i},{'note' if i == 3 else ''},,{i * i % 5}\n" for i in range(9))
    t = made(sheet("x,comment,nothing,y\n" + rows))
    assert t.names == ("x",)
    assert use(t)["comment"] == "left out: 89% of its cells are empty"
    assert use(t)["nothing"] == "left out: it is empty"
    assert made(sheet("x,comment,nothing,y\n" + rows), columns=("comment", "x"), missing="mean").names == (
        "x", "comment=note",
    )  # fmt: skip


def test_codes_with_leading_zeros_are_told_of(sheet):
    text = "zip,y\n02130,1\n02131,2\n10001,4\n"
    assert "leading zeros (--categorical if they are codes)" in made(sheet(text)).account[0].seen
    assert "leading" not in made(sheet("x,y\n0.5,1\n0,2\n10,4\n")).account[0].seen
    assert made(sheet(text), categorical=("zip",)).names == ("zip=02130", "zip=02131", "zip=10001")


def test_a_line_of_units_is_named(sheet):
    text = "x,y\nm,kg\n" + "1,2\n3,4\n" * 20
    with pytest.raises(
        BadInput, match=r"line 2, column 'y': 'kg' is not a number.*or delete the line if it holds units"
    ):
        made(sheet(text))


def test_numbers_that_are_not_finite_are_shown_as_they_are(sheet):
    with pytest.raises(BadInput, match="line 3, column 'x': '1e400' is not a finite number"):
        made(sheet("x,y\n1,2\n1e400,4\n2,5\n"))


def test_a_target_of_dates_has_a_unit(sheet):
    t = made(sheet("x,y\n1,1970-01-02\n3,1970-01-03\n4,1970-01-05\n"))
    assert t.target.tolist() == [1, 2, 4] and use(t)["y"] == "the target, in days since 1970"
