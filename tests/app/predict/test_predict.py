"""From a table to a certified model and its predictions, on tables like those that everyone meets first."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import command_line

QUIET = ("--plot", "none", "--json", "none", "-q")


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lk(*arguments, code=0):
    done = command_line.lk(*arguments)
    assert done.exit_code == code, done.output
    return done


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def penguins(n=90, seed=0):
    """A table like palmerpenguins: text columns, whole numbers, and NA in some cells."""
    rng = np.random.default_rng(seed)
    species = rng.choice(["Adelie", "Chinstrap", "Gentoo"], n)
    bill = pd.Series(species).map({"Adelie": 38.8, "Chinstrap": 48.8, "Gentoo": 47.5}) + rng.normal(size=n)
    mass = pd.Series(species).map({"Adelie": 3700, "Chinstrap": 3730, "Gentoo": 5070}) + 200 * rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "species": species,
            "island": rng.choice(["Biscoe", "Dream", "Torgersen"], n),
            "bill_length_mm": bill.round(1),
            "body_mass_g": mass.round(-1).astype("Int64"),
            "sex": rng.choice(["male", "female"], n),
            "year": rng.choice([2007, 2008, 2009], n),
        }
    )
    frame.loc[3, ["bill_length_mm", "body_mass_g", "sex"]] = None
    frame.loc[7, "sex"] = None
    return frame


def weather(n=60, seed=0):
    """A table like seattle-weather: dates, numbers and a text to predict."""
    rng = np.random.default_rng(seed)
    warm, wet = rng.normal(12, 8, n).round(1), np.where(rng.random(n) < 0.5, rng.gamma(1, 5, n), 0).round(1)
    kind = np.where(wet > 0, np.where(warm < 4, "snow", "rain"), "sun")
    dates = pd.date_range("2012-01-01", periods=n).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": dates, "precipitation": wet, "temp_max": warm, "weather": kind})


def test_words_for_nothing_are_saved_with_the_model():
    text = "age,y\n" + "".join(f"{'refused' if i % 5 == 0 else i},{i / 7}\n" for i in range(20))
    with open("a.csv", "w", encoding="utf-8") as file:
        file.write(text)
    lk("solve", "--data", "a.csv", "--target", "y", "--empty", " Refused,-999", "--save", "m.json", *QUIET)
    assert read("m.json")["empty"] == ["Refused", "-999"]
    lk("predict", "m.json", "--data", "a.csv", "--out", "p.csv")
    assert [i for i, row in enumerate(rows("p.csv")) if not row["prediction"]] == [0, 5, 10, 15]


@pytest.fixture
def fitted():
    penguins().to_csv("penguins.csv", index=False, na_rep="NA")
    return lk("solve", "--data", "penguins.csv", "--target", "species", "--save", "model.json", "--out", "o",
              "--hold-out", "0.2")  # fmt: skip


def test_penguins_go_through_as_they_are(fitted):
    for text in ("3 different: Adelie, Chinstrap, Gentoo", "2 indicator(s)", "2 of 90 rows dropped",
                 "held out", "rows kept out of the fit",
                 "in the units of the data", "wrote model.json", "certified: 5 of 5"):  # fmt: skip
        assert text in " ".join(fitted.stdout.split()), text
    table = rows("o/coefficients.csv")
    weights = [abs(float(r["weight"])) for r in table]
    assert weights == sorted(weights, reverse=True)
    assert {r["feature"] for r in table} >= {"Gentoo: bill_length_mm", "Adelie: island=Dream", "Adelie: intercept"}
    trace = read("o/trace.json")
    assert trace["result"]["held_out"]["score"] > 0.8
    assert [line["name"] for line in trace["problem"]["account"]] == list(penguins())


def test_predictions_are_those_of_the_coefficients(fitted):
    """Anyone else can predict: the numbers in the file, and the table, suffice."""
    out = lk("predict", "model.json", "--data", "penguins.csv", "--out", "p.csv").stdout
    assert "2 row(s) have an empty cell that the model needs, and get no prediction; the first is line 5" in " ".join(
        out.split()
    )
    frame, made, model = penguins(), rows("p.csv"), read("model.json")
    features = []
    for name in model["features"]:
        column, _, level = name.partition("=")
        features.append((frame[column] == level).astype(float) if level else frame[column].astype(float))
    A, u = np.stack(features, axis=1), model["in_the_units_of_the_data"]
    z = A @ np.asarray(u["coefficients"]).T + np.asarray(u["intercept"])
    scaled = (A - model["means"]) / model["deviations"]
    np.testing.assert_allclose(np.c_[scaled, np.ones(len(A))] @ np.asarray(model["weights"]).T, z, rtol=1e-9, atol=1e-9)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    for i, (row, p) in enumerate(zip(made, e / e.sum(axis=1, keepdims=True), strict=True)):
        if i in (3, 7):
            assert row["prediction"] == ""
            continue
        assert row["prediction"] == model["classes"][int(np.argmax(p))]
        assert [float(row[f"probability of {c}"]) for c in model["classes"]] == pytest.approx(p.tolist(), abs=1e-9)


def test_columns_are_found_by_name_in_any_form(fitted):
    lk("predict", "model.json", "--data", "penguins.csv", "--out", "p.csv", "-q")
    frame = penguins()[["year", "sex", "body_mass_g", "island", "bill_length_mm"]]
    frame.to_csv("new.csv", sep=";", decimal=",")
    lk("predict", "model.json", "--data", "new.csv", "--out", "q.csv", "-q")
    assert rows("p.csv") == rows("q.csv")
    done = lk("predict", "model.json", "--data", "new.csv")
    assert done.stdout.startswith("prediction,probability of Adelie") and "90 predictions" in done.stderr


def test_a_regression_in_the_units_of_the_target():
    frame = penguins()
    frame.to_csv("a.csv", index=False)
    done = lk(
        "solve", "--data", "a.csv", "--target", "body_mass_g", "--missing", "mean", "--save", "m.json", *QUIET[:4]
    )
    assert "empty value(s) replaced by the mean" in " ".join(done.stdout.split())
    said = lk("predict", "m.json", "--data", "a.csv", "--out", "p.csv").stdout
    made = [float(r["prediction"]) for r in rows("p.csv")]
    assert len(made) == 90 and 3000 < min(made) < max(made) < 6000
    assert "R^2 0.9" in said and "on the 89 rows with 'body_mass_g'" in said
    gap = frame.loc[[3]].assign(bill_length_mm=frame.bill_length_mm.mean(), sex="")
    gap.to_csv("b.csv", index=False)
    lk("predict", "m.json", "--data", "b.csv", "--out", "q.csv", "-q")
    assert float(rows("q.csv")[0]["prediction"]) == pytest.approx(made[3], rel=1e-3)


def test_what_the_fit_has_not_seen(fitted):
    frame = penguins().dropna()
    frame.iloc[2, 1] = "Anvers"
    frame.to_csv("new.csv", index=False)
    done = lk("predict", "model.json", "--data", "new.csv", "--out", "p.csv")
    assert "1 row(s) have a text in 'island' that the fit has not seen" in " ".join(done.stdout.split())
    assert "the first is line 4: 'Anvers'" in " ".join(done.stdout.split())
    assert rows("p.csv")[2]["prediction"] == "" and rows("p.csv")[3]["prediction"] != ""


@pytest.mark.parametrize("scale", ["--standardize", "--no-standardize"])
def test_without_names_columns_are_found_by_place(scale):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(50, 2))
    np.savetxt("a.csv", np.c_[A, 3 + A @ [1.0, -0.5]], delimiter=",")
    lk("solve", "--data", "a.csv", "--target", "-1", "--loss", "squared", "--weight-decay", "0.2", "--tol", "0",
       "--no-header", "--save", "m.json", "--atol", "1e-3", scale, *QUIET)  # fmt: skip
    np.savetxt("b.csv", A[:5], delimiter=",")
    lk("predict", "m.json", "--data", "b.csv", "--out", "p.csv", "-q")
    made = [float(r["prediction"]) for r in rows("p.csv")]
    np.testing.assert_allclose(made, 3 + A[:5] @ [1.0, -0.5], atol=0.2)


def test_weather_with_the_weight_decay_chosen_by_cross_validation():
    weather().to_csv("seattle-weather.csv", index=False)
    done = lk("solve", "--data", "seattle-weather.csv", "--target", "weather", "--cv", "3", "--lams", "0.1,1,10",
              "--tol", "0.05", "--out", "o")  # fmt: skip
    assert "days since the first" in done.stdout and "best" in done.stdout
    path = read("o/trace.json")["path"]
    assert path["lams"] == [10, 1, 0.1] and path["folds"] == 3
    assert (
        path["best"] == path["lams"][int(np.argmin(path["loss"]))] == read("o/trace.json")["settings"]["weight_decay"]
    )
    assert np.shape(path["weights"]) == (3, 3, 4)
    for file in ("picture.png", "path.png"):
        with open(f"o/{file}", "rb") as picture:
            assert picture.read(4) == b"\x89PNG"
    with open("o/.gitignore", encoding="utf-8") as ignored:
        assert ignored.read() == "*\n"


def test_cross_validation_finds_the_weight_decay_of_least_loss():
    """Of an exact law with large weights it is the smallest, as none may be cut."""
    A = np.random.default_rng(1).normal(size=(30, 3))
    pd.DataFrame(A, columns=list("abc")).assign(y=A @ [3.0, -2, 0]).to_csv("a.csv", index=False)
    lk("solve", "--data", "a.csv", "--target", "y", "--loss", "squared", "--cv", "3", "--lams", "0.5,2,50",
       "--out", "o", "--atol", "2e-2", "-q")  # fmt: skip
    path = read("o/trace.json")["path"]
    assert path["best"] == 0.5 and path["loss"] == sorted(path["loss"], reverse=True)


def test_rows_kept_out_are_not_in_the_fit():
    frame = penguins().dropna()
    frame.to_csv("a.csv", index=False)
    base = ("solve", "--data", "a.csv", "--target", "species", "--plot", "none", "--tol", "0.1", "-q")
    lk(*base, "--json", "a.json", "--hold-out", "0.25")
    lk(*base, "--json", "b.json", "--hold-out", "0.25", "--seed", "1")
    a, b = read("a.json"), read("b.json")
    assert a["problem"]["samples"] == 66 and a["result"]["held_out"]["measure"] == "accuracy"
    assert a["problem"]["means"] != b["problem"]["means"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file; 'lionk solve --data FILE --target COLUMN --save"),
        ("{", "is no model that 'lionk solve --save' has written"),
        ('{"format": "lionk model 0"}', "and this version of lionk reads 'lionk model 1'"),
        ("[]", "is no model"),
    ],
)
def test_what_is_no_model_is_one_sentence(content, says):
    penguins().to_csv("a.csv", index=False)
    if content is not None:
        with open("m.json", "w", encoding="utf-8") as file:
            file.write(content)
    done = lk("predict", "m.json", "--data", "a.csv", code=2)
    assert says in done.stderr and done.stderr.count("\n") == 1


def test_a_table_that_lacks_a_column_or_has_another_kind(fitted):
    penguins().drop(columns="year").to_csv("a.csv", index=False)
    assert "no column 'year', which the model needs" in lk("predict", "model.json", "--data", "a.csv", code=2).stderr
    penguins().assign(year=[f"y{i % 3}" for i in range(90)]).to_csv("b.csv", index=False)
    said = lk("predict", "model.json", "--data", "b.csv", code=2).stderr
    assert "b.csv, line 2, column 'year': 'y0' is not a number, as the cells of the fit were" in said
    assert "are the same file" in lk("predict", "model.json", "--data", "b.csv", "--out", "b.csv", code=2).stderr


def test_what_new_rows_do_not_tell_is_as_it_was_in_the_fit():
    days = pd.date_range("2024-01-01", periods=40, freq="3D")
    table = pd.DataFrame({"day": days, "size": np.linspace(1, 9, 40), "price": 1000 + 7.5 * np.arange(40) ** 2})
    table["y"] = table["size"] + table.price / 1000
    table.to_csv("iso.csv", index=False)
    table.assign(day=days.strftime("%d/%m/%Y")).to_csv("german.csv", index=False, sep=";", decimal=",")
    for name in ("iso", "german"):
        lk("solve", "--data", f"{name}.csv", "--target", "y", "--save", f"{name}.json", *QUIET)
    with open("new.csv", "w", encoding="utf-8") as file:
        file.write("day;price;size\n03/04/2024;2.500;2\n04/03/2024;1.750;3\n")  # either is possible by itself
    with open("same.csv", "w", encoding="utf-8") as file:
        file.write("day,price,size\n2024-04-03,2500,2\n2024-03-04,1750,3\n")
    lk("predict", "german.json", "--data", "new.csv", "--out", "p.csv", "-q")
    lk("predict", "iso.json", "--data", "same.csv", "--out", "q.csv", "-q")
    made, expected = ([float(r["prediction"]) for r in rows(file)] for file in ("p.csv", "q.csv"))
    assert made == pytest.approx(expected, rel=1e-6)
    with open("new.csv", "w", encoding="utf-8") as file:
        file.write("day;price;size\n2024-04-03;2500.5;2\n")  # new rows that do tell
    lk("predict", "german.json", "--data", "new.csv", "--out", "p.csv", "-q")
    assert float(rows("p.csv")[0]["prediction"]) == pytest.approx(expected[0], abs=0.01)


def test_years_as_names_are_names_of_new_rows_too():
    with open("a.csv", "w", encoding="utf-8") as file:
        file.write("2019,2020,2021\n" + "".join(f"{i % 5},{i % 7},{i % 5 + 0.1 * (i % 7)}\n" for i in range(30)))
    lk("solve", "--data", "a.csv", "--target", "2021", "--save", "m.json", *QUIET)
    for text in ("2020,2019\n3,2\n", "2019,2020\n2015,2014\n2014,2016\n"):
        with open("new.csv", "w", encoding="utf-8") as file:
            file.write(text)
        lk("predict", "m.json", "--data", "new.csv", "--out", "p.csv", "-q")
        assert len(rows("p.csv")) == text.count("\n") - 1
    with open("new.csv", "w", encoding="utf-8") as file:
        file.write("3,2\n")
    said = lk("predict", "m.json", "--data", "new.csv", code=2).stderr
    assert "no column '2019', '2020', which the model needs; its first line names: 3, 2" in said


def test_what_is_said_of_a_wrong_cell_names_only_ways_that_there_are(fitted):
    frame = penguins().astype(object)
    frame.loc[5, "body_mass_g"] = "heavy"
    frame.to_csv("new.csv", index=False)
    said = lk("predict", "model.json", "--data", "new.csv", code=2).stderr
    assert "line 7, column 'body_mass_g': 'heavy' is not a number" in said and "--" not in said.split("'heavy'")[1]
    said = lk("solve", "--data", "new.csv", "--target", "body_mass_g", code=2).stderr
    assert "--categorical 'body_mass_g'" in said and "--drop" not in said
    assert (
        "--categorical or --drop with 'body_mass_g'"
        in lk("solve", "--data", "new.csv", "--target", "sex", code=2).stderr
    )


def test_a_wrong_cell_of_the_target_keeps_no_prediction_back():
    frame = penguins()
    frame.to_csv("a.csv", index=False)
    lk(
        "solve",
        "--data",
        "a.csv",
        "--target",
        "year",
        "--loss",
        "squared",
        "--missing",
        "mean",
        "--save",
        "m.json",
        *QUIET,
    )
    frame.astype(object).assign(year=[*frame.year[:-1], "soon"]).to_csv("b.csv", index=False)
    said = lk("predict", "m.json", "--data", "b.csv", "--out", "p.csv").stdout
    assert "no score, as b.csv, line 91, column 'year': 'soon' is not a number" in " ".join(said.split())
    assert len(rows("p.csv")) == 90 and all(r["prediction"] for r in rows("p.csv"))


def test_a_constant_target_has_nothing_to_fit():
    penguins().assign(year=2007).to_csv("a.csv", index=False)
    said = lk("solve", "--data", "a.csv", "--target", "year", code=2).stderr
    assert "the target 'year' is the same number in every row" in said


def test_cells_that_are_filled_are_counted_in_the_table():
    frame = pd.DataFrame({"k": ["a", "b", None, "c"] * 5, "x": [1.5, None, 2.5, 3.0] * 5, "y": np.arange(20) ** 2.0})
    frame.to_csv("a.csv", index=False)
    said = lk("solve", "--data", "a.csv", "--target", "y", "--missing", "mean", *QUIET[:4]).stdout
    assert "10 empty value(s) replaced by the mean" in " ".join(said.split())


def test_options_that_do_not_fit_the_file_are_refused_and_no_hint_leads_back():
    frame = weather()
    frame.to_csv("a.csv", index=False)
    lk("solve", "--data", "a.csv", "--target", "weather", "--save", "m.json", *QUIET)
    for options, says in (
        (("--sheet", "2"), "--sheet 2 is for files with sheets"),
        (("--data", "https://x.org/a.csv"), "only files are read; download the table first"),
        (("--out", "p.xlsx"), "predictions are written as CSV; give the file a name that ends in .csv"),
        (("--out", "."), "--out . is a directory; name a file in it, or give --out none"),
    ):
        assert says in lk("predict", "m.json", "--data", "a.csv", *options, code=2).stderr
    said = lk("predict", "m.json", "--data", "a.csv", "--out", "none").output
    assert said.startswith("60 predictions of 'weather'; accuracy")
    frame.head(3).to_csv("b.csv", index=False)
    said = lk("solve", "--data", "b.csv", "--target", "temp_max", "--hold-out", "0.5", code=2).stderr
    assert "--hold-out 0.5 leaves 1 row(s) for the fit: the target 'temp_max' is the same number" in said


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow)])
def test_a_terminal_without_the_letters_of_a_table_shows_their_numbers(encoding):
    """As on Windows, and where the output goes to a file there."""
    with open("a.csv", "w", encoding="utf-8") as file:
        file.write("\U0001f981,y\n" + "".join(f"\u0416{i % 2},{i}\n" for i in range(9)))
    command = [
        sys.executable,
        "-m",
        "lionk",
        "solve",
        "--data",
        "a.csv",
        "--target",
        "y",
        "--save",
        "m.json",
        *QUIET[:4],
    ]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=True)
    assert rb"\U0001f981" in done.stdout and rb"\u04161" in done.stdout and not done.stderr
    assert read("m.json")["columns"][0]["levels"] == ["\u04160", "\u04161"]
