"""The options of ``lionk solve`` and ``lionk predict``: what each is called, and what ``--help`` says of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import lionk

from ...solver.losses import LOSSES
from ..tables.table import MISSING
from .problems import BUNDLED
from .setup import SCHEDULES

_panels = ("Your table", "The model", "The run", "What is written")
_table, _model, _run, _files = (partial(typer.Option, rich_help_panel=title) for title in _panels)

ProblemName = Annotated[
    str | None,
    typer.Option(
        help=f"Solve a bundled problem on real data: {', '.join(BUNDLED)}. 'list' describes them. "
        "The first one is solved if you give neither --problem nor --data.",
        metavar="NAME",
        autocompletion=lambda: list(BUNDLED),
    ),
]

Data = Annotated[
    Path | None,
    _table(
        help="Use your own table, with one sample in each row: CSV and its relatives, Excel, Parquet or .npy. "
        "It needs --target.",
        metavar="FILE",
    ),
]
NewData = Annotated[Path, _table(help="The table to predict for.", metavar="FILE")]
Target = Annotated[
    str | None,
    _table(
        help="Predict this column. Give its name, or its number counted from 0; -1 is the last one.", metavar="COLUMN"
    ),
]
Columns = Annotated[str | None, _table(help="Use only these columns as features.", metavar="NAME,NAME,...")]
Drop = Annotated[str | None, _table(help="Leave these columns out.", metavar="NAME,NAME,...")]
Categorical = Annotated[
    str | None,
    _table(
        help="Read these columns as categories even if their cells are numbers, as for postal codes.",
        metavar="NAME,NAME,...",
    ),
]
DropFirst = Annotated[bool, _table("--drop-first", help="Give the first category of each text column no indicator.")]
Missing = Annotated[
    str,
    _table(
        help="What to do with empty cells: drop the row, put in the mean of the column, or stop with an error.",
        metavar="drop|mean|error",
        autocompletion=lambda: list(MISSING),
    ),
]
Empty = Annotated[
    str | None,
    _table(
        help="Words and numbers that stand for nothing, for example refused,-999. Their cells count as empty, as those "
        "with NA, null and the like always do.",
        metavar="WORD,WORD,...",
    ),
]
Standardize = Annotated[
    bool, _table("--standardize/--no-standardize", help="Scale features and target to mean 0 and standard deviation 1.")
]
Header = Annotated[
    bool | None,
    _table(
        "--header/--no-header",
        help="Say whether the first line holds the names of the columns. By default the file's content decides.",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    _table(help="What stands between two cells, for example ';' or tab. By default it is found.", metavar="TEXT"),
]
Decimal = Annotated[
    str | None, _table(help="The decimal mark of numbers, '.' or ','. By default it is found.", metavar=".|,")
]
Dates = Annotated[
    str | None,
    _table(
        help="How to read 03/04/2024, where both are possible: day-first or month-first.",
        metavar="day-first|month-first",
    ),
]
Encoding = Annotated[
    str | None,
    _table(
        help="Encoding of a text file, for example latin-1. By default the one of UTF-8, UTF-16 and Windows-1252 that "
        "fits.",
        metavar="NAME",
    ),
]
SheetName = Annotated[
    str | None,
    _table(help="Sheet of a spreadsheet: its name, or its number from 0, which is the default.", metavar="NAME"),
]

Loss = Annotated[
    str | None,
    _model(
        help=f"The loss: {', '.join(LOSSES)}. Two take a number, as quantile:0.9 (its level) and "
        "huber:1.35 (its width). By default it is chosen by the target: logistic for two classes, softmax for "
        "more, squared for numbers.",
        metavar="NAME",
        autocompletion=lambda: list(LOSSES),
    ),
]
KText = Annotated[
    str | None,
    _model(
        "--k",
        "-k",
        help="The convex function K. It decides what the weights are constrained to, for example l1 or lp:p=1.5. "
        "'lionk functions' lists all. By default l1 for your own table.",
        metavar="NAME[:param=value,...]",
        autocompletion=lambda: lionk.names() + lionk.algorithms(),
    ),
]
WeightDecay = Annotated[
    float | None,
    _model(
        help="The weight decay lam: the weights w keep to the set where K*(lam w) is finite. With l1 that is "
        "|w| <= 1/lam. By default 1 for your own table."
    ),
]
HoldOut = Annotated[
    float | None,
    _model(
        help="Keep this share of the rows out of the fit, for example 0.25, and report the score on them.",
        metavar="SHARE",
    ),
]
Folds = Annotated[
    int | None,
    _model(help="Choose the weight decay by cross-validation with this many folds, for example 5.", metavar="FOLDS"),
]
Lams = Annotated[
    str | None,
    _model(
        help="The weight decays that --cv tries: a list such as 0.1,0.3,1, or a range LOW:HIGH:COUNT. "
        "By default 0.03:30:9.",
        metavar="LIST|RANGE",
    ),
]

LR = Annotated[float | None, _run(help="The learning rate. By default a rule finds it without tuning.")]
Schedule = Annotated[
    str,
    _run(
        help=f"How the learning rate of --lr changes over the run: {', '.join(SCHEDULES)}.",
        autocompletion=lambda: list(SCHEDULES),
    ),
]
Betas = Annotated[str, _run(help="The two momentum coefficients of Lion.", metavar="B1,B2")]
Decay = Annotated[str, _run(help="Apply weight decay in its explicit or implicit form.")]
Backend = Annotated[
    str,
    _run(
        help="Array library to run on. 'lionk doctor' says which ones work here.",
        autocompletion=lambda: list(lionk.backends()),
    ),
]
Device = Annotated[str | None, _run(help="Device of that library, for example cuda:0.")]
Scheduler = Annotated[
    str | None,
    _run(
        help="Address of a running Dask scheduler, for example tcp://host:8786. Used only with --backend dask.",
        metavar="ADDRESS",
    ),
]
DType = Annotated[str, _run(help="Compute in float64 or float32.")]
MaxIter = Annotated[int, _run(help="Stop after this many steps.")]
Tol = Annotated[float, _run(help="Stop when the certified gap is at most this fraction of |F|.")]
ATol = Annotated[float, _run(help="Add this to the gap that is allowed. Give it where the smallest possible F is 0.")]
Seed = Annotated[
    int | None,
    _run(
        help="Seed of the random start, and of --hold-out and --cv. By default the run starts at the allowed point "
        "nearest to 0."
    ),
]

Out = Annotated[
    Path,
    _files(
        help="Folder for the files of this run. It is made if it is missing, and git ignores what is in it.",
        metavar="FOLDER",
    ),
]
Plot = Annotated[
    str | None,
    _files(
        help="Write the picture here (.png, .svg or .pdf), or 'none'. By default picture.png in the folder.",
        metavar="PATH",
        show_default=False,
    ),
]
Json = Annotated[
    str | None,
    _files(
        help="Write the trace of the run here, 'none', or '-' for the terminal. By default trace.json in the folder.",
        metavar="PATH",
        show_default=False,
    ),
]
Save = Annotated[
    Path | None, _files(help="Save the fitted model here, so that 'lionk predict' can use it.", metavar="FILE")
]
Checkpoint = Annotated[
    Path | None,
    _files(
        help="Save the run here every 500 steps and when you press Ctrl-C, so that --resume can continue it.",
        metavar="FILE",
    ),
]
Resume = Annotated[bool, _files("--resume", help="Continue from the checkpoint.")]
Quiet = Annotated[bool, _files("--quiet", "-q", help="Write the files, and print nothing but problems.")]
