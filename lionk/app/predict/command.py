"""``lionk predict``: apply a model that ``lionk solve --save`` has written to new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..console import BadInput, command, console, first_of, say
from ..files import apart, output_path, write_text
from ..solve import options as opt
from ..solve.model import r_squared
from ..solve.saved import Model, load
from ..solve.source import DATES, check_texts

Array = Any


@command
def predict(
    model: Annotated[Path, typer.Argument(help="The model: a file that 'lionk solve --save' has written.")],
    data: opt.NewData,
    out: Annotated[
        str,
        typer.Option(help="Write the predictions here, as CSV; '-' is the terminal, 'none' nothing.", metavar="FILE"),
    ] = "-",
    separator: opt.Separator = None,
    decimal: opt.Decimal = None,
    dates: opt.Dates = None,
    encoding: opt.Encoding = None,
    sheet: opt.SheetName = None,
    quiet: opt.Quiet = False,
) -> None:
    """Predict for the rows of a new table with a model that 'lionk solve --save' has written.

    The table needs the columns that the model was fitted to, in any order; others are not used. The output has one
    line for each row: the prediction and, for classes, the probability of each. If the table has the target too, the
    score on it is printed.

    Example: lionk predict penguins.json --data new.csv --out predictions.csv
    """
    from ..tables.columns import Habits, habits
    from ..tables.design import apply
    from ..tables.file import BINARY, read
    from ..tables.sheet import Reading, emptied

    screen = console(to_stderr=out == "-")
    path = None if out == "-" else output_path(out, "--out")
    if path is not None and path.suffix.lower() in BINARY:
        raise BadInput(f"--out {out}: predictions are written as CSV; give the file a name that ends in .csv")
    apart({"MODEL": model, "--data": data, "--out": path})
    fitted = load(model)
    how = Reading(fitted.names, separator, decimal, encoding, sheet)
    check_texts(how, dates)
    sheet_ = emptied(read(data, how), fitted.empty)
    if not fitted.names:
        _by_place(sheet_, fitted)
    common: Habits = habits(sheet_, decimal, None if dates is None else DATES[dates])
    features, unknown = apply(sheet_, fitted.plan, common)
    values = fitted.predict(features)
    for strange in unknown.values():
        values[strange] = np.nan
    text = _csv(fitted, values)
    if path is not None:
        write_text(path, text)
    elif out == "-":
        say(text.rstrip("\n"))
    if quiet:
        return
    for note in (*sheet_.notes, *_gaps(fitted, features, unknown, sheet_)):
        screen.print(note, markup=False)
    score = _score(fitted, values, sheet_, common)
    where = "" if path is None else f" in {path}"
    screen.print(f"{len(values)} predictions of {fitted.target!r}{where}{score}", markup=False, soft_wrap=True)


def _by_place(sheet: Any, fitted: Model) -> None:
    """Names for the columns of a file that has none: those of the fit, which had the target among them."""
    needed = [f.name for f in fitted.plan]
    count = sheet.frame.shape[1]
    if count == len(needed):
        sheet.frame.columns = needed
    elif count <= max(map(int, needed)):
        raise BadInput(f"{sheet.file} has {count} columns without names, and the model needs {len(needed)}: the "
                       f"columns {first_of(needed, 8)} of the table that it was fitted to")  # fmt: skip


def _csv(fitted: Model, values: Array) -> str:
    """A line a row; empty where there is no prediction."""
    import pandas as pd

    columns = {"prediction": values}
    if fitted.classes:
        said = np.asarray(fitted.classes)[values.argmax(axis=1)]
        columns = {"prediction": np.where(np.isnan(values).any(axis=1), "", said)}
        columns |= {f"probability of {c}": p for c, p in zip(fitted.classes, values.T, strict=True)}
    return str(pd.DataFrame(columns).to_csv(index=False, lineterminator="\n"))


def _gaps(fitted: Model, features: Array, unknown: dict[str, Array], sheet: Any) -> list[str]:
    """Why some rows have no prediction."""
    notes = []
    empty = np.flatnonzero(np.isnan(features).any(axis=1))
    if empty.size and fitted.missing != "mean":
        where = sheet.where(int(empty[0]))
        notes.append(f"{empty.size} row(s) have an empty cell that the model needs, and get no prediction; the first "
                     f"is {where}. A model fitted with --missing mean predicts for them.")  # fmt: skip
    for name, strange in unknown.items():
        rows = np.flatnonzero(strange)
        text = str(sheet.frame[name].iloc[rows[0]])[:40]
        notes.append(f"{rows.size} row(s) have a text in {name!r} that the fit has not seen, and get no prediction; "
                     f"the first is {sheet.where(int(rows[0]))}: {text!r}")  # fmt: skip
    return notes


def _score(fitted: Model, values: Array, sheet: Any, common: Any) -> str:
    """How good the predictions are, where the table knows the target."""
    from ..tables.columns import column

    if fitted.target not in sheet.frame:
        return ""
    try:
        read = column(sheet, fitted.target, common, text=bool(fitted.classes))
    except BadInput as error:
        return f"; no score, as {error}"
    known = ~(np.isnan(values).any(axis=1) if values.ndim == 2 else np.isnan(values)) & ~read.missing
    if not known.any() or (not fitted.classes and read.kind == "text"):
        return ""
    if fitted.classes:
        said = np.asarray(fitted.classes)[values[known].argmax(axis=1)]
        true = [str(v).lower().removesuffix(".0") for v in read.values[known]]
        score = f"accuracy {np.mean(np.char.lower(said) == true):.4f}"
    else:
        score = f"R^2 {r_squared(read.values[known].astype(float), values[known]):.4f}"
    return f"; {score} on the {int(known.sum())} rows with {fitted.target!r}"
