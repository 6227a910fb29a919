"""From a sheet to features and a target: which columns are used, how each becomes numbers, and which rows are left."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..console import BadInput, first_of, one_of
from . import cells
from .columns import Habits, column, habits, stranger
from .sheet import Sheet
from .table import MISSING, Column, Feature, Line, Table

Array = Any
EMPTY = 0.5  # a column with more empty cells than this is left out, unless it is asked for


@dataclass(frozen=True)
class Wishes:
    """What the user says of the columns; ``columns`` None: all. ``missing``: drop, mean or error."""

    target: str
    columns: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    missing: str = "drop"
    drop_first: bool = False
    decimal: str | None = None
    day_first: bool | None = None


def table(sheet: Sheet, wishes: Wishes) -> Table:
    """Choose the columns, read them, and drop or keep the rows with empty cells. Raises BadInput."""
    names = list(sheet.frame)
    one_of(MISSING, wishes.missing, "--missing")
    goal = find(sheet, wishes.target, "--target")
    if len(names) < 2:
        raise BadInput(f"{sheet.file} has one column only; features are needed beside the target")
    if len(sheet.frame) < 2:
        raise BadInput(f"{sheet.file} has {len(sheet.frame)} row(s) of data; at least 2 are needed")
    asked = None if wishes.columns is None else [find(sheet, c, "--columns") for c in wishes.columns]
    dropped = {find(sheet, c, "--drop") for c in wishes.drop}
    forced = {find(sheet, c, "--categorical") for c in wishes.categorical}
    if goal in dropped:
        raise BadInput(f"--drop {goal} is the target; leave it there")
    common = habits(sheet, wishes.decimal, wishes.day_first)
    plan, parts, account = [], [], []
    classes = f", or give --categorical {goal!r} if its cells are classes"
    target = column(sheet, goal, common, text=goal in forced, ways=classes)
    for name in names:
        if name == goal:
            unit = ", in days since 1970" if target.kind == "date" and target.form not in cells.CLOCK else ""
            account.append(Line(name, target.kind, _with_gaps(target), f"the target{unit}"))
            continue
        if name in dropped or (asked is not None and name not in asked):
            account.append(Line(name, "", "", "left out, as asked"))
            continue
        ways = f", or give --categorical or --drop with {name!r}"
        read = column(sheet, name, common, text=name in forced, ways=ways)
        why = _aside(read, asked is not None or name in forced)
        if why:
            account.append(Line(name, read.kind, read.detail, f"left out: {why}"))
            continue
        feature = _feature(read, wishes.drop_first)
        plan.append(feature)
        parts.append(feature.numbers(read)[0])
        account.append(Line(name, read.kind, _with_gaps(read), _use(feature)))
    if not plan:
        aside = next((line for line in account if line.use.startswith("left out:")), None)
        why = "" if aside is None else f"; {aside.name!r} is {aside.use} ({aside.seen})"
        raise BadInput(
            f"{sheet.file}: no column is left beside the target{why}; --columns NAME,... keeps those it names"
        )
    whole = Table(
        np.concatenate(parts, axis=1), tuple(n for f in plan for n in f.names), _target(target), goal,
        tuple(plan), tuple(account), sheet.notes,
    )  # fmt: skip
    return _complete(sheet, wishes, whole, target)


def find(sheet: Sheet, wanted: str, option: str) -> str:
    """The column of this name, or of this number from 0."""
    names = list(sheet.frame)
    if wanted in names:
        again = f"{wanted} (2)"
        if again in names:
            raise BadInput(f"{sheet.file}: two columns are named {wanted!r}; {option} takes a number from 0 as well")
        return wanted
    try:
        return str(names[range(len(names))[int(wanted)]])
    except (ValueError, IndexError):
        near = [n for n in names if n.lower() == wanted.lower()] or difflib.get_close_matches(wanted, names, 1)
        shown = first_of((n[:40] for n in names), 12)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        how = "".join(f"; {note}" for note in sheet.notes if note.startswith("read "))  # the sheet, the encoding
        if len(names) == 1:
            how += "; where that is more than one name, --separator says what stands between them"
        raise BadInput(
            f"{sheet.file} has no column {wanted!r}{guess}; {option} is one of: {shown}, or a number from 0{how}"
        ) from None


def split(text: str | None, sheet: Sheet) -> tuple[str, ...]:
    """Names with commas between them; a name may have one itself."""
    parts = [] if text is None else text.split(",")
    names, made = set(sheet.frame), []
    while parts:
        end = next((n for n in range(len(parts), 0, -1) if ",".join(parts[:n]) in names), 1)
        made.append(",".join(parts[:end]).strip())
        parts = parts[end:]
    return tuple(made)


def apply(sheet: Sheet, plan: Iterable[Feature], common: Habits) -> tuple[Array, dict[str, Array]]:
    """The features of a plan from another sheet, and for each column with levels that are not known, in which rows."""
    parts, unknown, plan = [], {}, list(plan)
    if lacking := [repr(f.name) for f in plan if f.name not in sheet.frame]:
        raise BadInput(f"{sheet.file} has no column {', '.join(lacking[:8])}, which the model needs; its first line "
                       f"names: {', '.join(map(str, list(sheet.frame)[:12]))}")  # fmt: skip
    for feature in plan:
        read = column(sheet, feature.name, common.or_else(feature.form), text=feature.kind == "text")
        if read.kind not in (feature.kind, "empty"):
            read = _as(feature, read, sheet)
        if read.unit and feature.unit and read.unit != feature.unit:
            raise BadInput(f"{sheet.file}, column {feature.name!r}: the numbers are in {read.unit}, and the model was "
                           f"fitted to numbers in {feature.unit}; convert them")  # fmt: skip
        if read.kind == "empty" and feature.kind == "text":
            read = replace(read, kind="text", values=np.full(len(read.values), "", dtype=object))
        numbers, strange = feature.numbers(read)
        parts.append(numbers)
        if strange.any():
            unknown[feature.name] = strange
    return np.concatenate(parts, axis=1), unknown


def _as(feature: Feature, read: Column, sheet: Sheet) -> Column:
    """A column of another kind than in the fit, where it says the same: 1 and 0 for yes and no. Raises BadInput."""
    kinds = (feature.kind, read.kind)
    if kinds == ("number", "flag") and read.flag == ("false", "true"):
        return read
    if kinds == ("flag", "number"):
        odd = ~(read.missing | (read.values == 0) | (read.values == 1))
        if not odd.any():
            return read
        row = int(np.flatnonzero(odd)[0])
    else:
        row = stranger(sheet, read, feature.kind, feature.flag, feature.form)
    shown = str(sheet.frame[feature.name].iloc[row])[:40]
    was = " or ".join(feature.flag) if feature.flag else f"a {feature.kind}"
    raise BadInput(f"{sheet.file}, {sheet.where(row)}, column {feature.name!r}: {shown!r} is not {was}, as the cells "
                   "of the fit were; give the column the same form")  # fmt: skip


def _aside(read: Column, wanted: bool) -> str:
    if read.kind == "empty":
        return read.aside
    if wanted:
        return ""
    share = float(read.missing.mean())
    if share > EMPTY:
        return f"{share:.0%} of its cells are empty"
    return read.aside


def _feature(read: Column, drop_first: bool) -> Feature:
    if read.kind == "date":
        return Feature(read.name, "date", origin=float(np.nanmin(read.values)), form=read.form)
    if read.kind == "flag":
        return Feature(read.name, "flag", flag=read.flag)
    if read.kind != "text":
        return Feature(read.name, "number", form=read.form, unit=read.unit)
    levels = read.levels
    if drop_first and len(levels) > 1:
        return Feature(read.name, "text", levels[1:], levels[0])
    return Feature(read.name, "text", levels)


def _with_gaps(read: Column) -> str:
    gaps = int(read.missing.sum())
    words = f" (also {', '.join(read.words)})" if read.words else ""
    return read.detail + (f"; {gaps} empty{words}" if gaps else "")


def _use(feature: Feature) -> str:
    if feature.kind == "date":
        return "days since the earliest" if feature.form in cells.CLOCK else "days since the first"
    if feature.kind == "flag":
        return f"1 for {feature.flag[1]}, 0 for {feature.flag[0]}" if feature.flag else "1 or 0"
    if feature.kind == "text":
        return f"{len(feature.levels)} indicator(s)" + (
            f", none for {feature.first}" if feature.first is not None else ""
        )
    return "as it is"


def _target(read: Column) -> Array:
    """Floats, or texts: yes and no are classes with these names."""
    if read.kind == "flag" and read.flag is not None:
        words = np.asarray(read.flag)
        return np.where(read.missing, "", words[np.nan_to_num(read.values).astype(int)])
    return read.values.astype(str) if read.kind == "text" else read.values


def _complete(sheet: Sheet, wishes: Wishes, whole: Table, target: Column) -> Table:
    """Deal with what is empty. A row without a target is no sample, whatever --missing says of the features."""
    features, notes = whole.features, list(whole.notes)
    gaps = np.isnan(features)
    if wishes.missing == "error":
        _refuse(sheet, whole, gaps, target)
    keep = ~target.missing
    if not keep.all():
        notes.append(f"{int((~keep).sum())} row(s) without {whole.target_name!r} dropped")
    if wishes.missing == "drop":
        complete = ~gaps.any(axis=1)
        lost = int((keep & ~complete).sum())
        if lost:
            notes.append(f"{lost} of {len(keep)} rows dropped, as they have empty cells (--missing mean keeps them)")
        keep &= complete
    elif gaps[keep].any():
        cells_ = sum(int(gaps[keep][:, _place(whole, f)].any(axis=1).sum()) for f in whole.plan)
        notes.append(f"{cells_} empty value(s) replaced by the mean of their column")
    known = int((~target.missing).sum())
    if known < 2:
        but = f" but {known}" if known else ""
        raise BadInput(f"{sheet.file}: {whole.target_name!r} is empty in all rows{but}; at least 2 are needed, "
                       "so fill it, or name another column with --target")  # fmt: skip
    if keep.sum() < 2:
        most = max(whole.plan, key=lambda f: float(gaps[:, _place(whole, f)].any(axis=1).sum()))
        raise BadInput(f"{sheet.file}: {int(keep.sum())} row(s) have no empty cell, and at least 2 are needed; give "
                       f"--missing mean, or --drop {most.name!r}, which has the most")  # fmt: skip
    return replace(whole.take(keep), notes=tuple(notes))


def _place(whole: Table, feature: Feature) -> slice:
    begin = whole.names.index(feature.names[0])
    return slice(begin, begin + len(feature.names))


def _refuse(sheet: Sheet, whole: Table, gaps: Array, target: Column) -> None:
    """Raises BadInput at the first empty cell, if there is one."""
    empty = target.missing | gaps.any(axis=1)
    for row in np.flatnonzero(empty):
        name = whole.target_name
        if not target.missing[row]:
            name = next(f.name for f in whole.plan if gaps[row, _place(whole, f)].any())
        raise BadInput(f"{sheet.file}, {sheet.where(int(row))}, column {name!r}: the cell is empty; fill it, or give "
                       "--missing drop or --missing mean")  # fmt: skip
