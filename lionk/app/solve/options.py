"""The options of ``lionk solve`` and ``lionk predict``: what each is called, and what ``--help`` says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import lionk

from ...solver.losses import LOSSES
from ..tables.table import MISSING
from .problems import BUNDLED
from .setup import SCHEDULES


def _names() -> list[str]:
    return lionk.names() + lionk.algorithms()


def _problems() -> list[str]:
    return list(BUNDLED)


def _losses() -> list[str]:
    return list(LOSSES)


def _schedules() -> list[str]:
    return list(SCHEDULES)


def _backends() -> list[str]:
    return list(lionk.backends())


def _missing() -> list[str]:
    return list(MISSING)


TABLE, MODEL, RUN, FILES = "Your table", "The model", "The run", "What is written"

ProblemName = Annotated[
    str | None,
    typer.Option(
        help=f"Solve a bundled problem on real data: {', '.join(BUNDLED)}. 'list' describes them. "
        "The first one is solved if you give neither --problem nor --data.",
        autocompletion=_problems, metavar="NAME",
    ),
]  # fmt: skip
Data = Annotated[
    Path | None,
    typer.Option(
        help="Use your own table, with one sample in each row: CSV and its relatives, Excel, Parquet or .npy. "
        "It needs --target.",
        metavar="FILE", rich_help_panel=TABLE,
    ),
]  # fmt: skip
NewData = Annotated[Path, typer.Option(help="The table to predict for.", metavar="FILE", rich_help_panel=TABLE)]
Target = Annotated[
    str | None,
    typer.Option(
        help="Predict this column. Give its name, or its number counted from 0; -1 is the last one.",
        metavar="COLUMN", rich_help_panel=TABLE,
    ),
]  # fmt: skip
Columns = Annotated[
    str | None,
    typer.Option(help="Use only these columns as features.", metavar="NAME,NAME,...", rich_help_panel=TABLE),
]
Drop = Annotated[
    str | None, typer.Option(help="Leave these columns out.", metavar="NAME,NAME,...", rich_help_panel=TABLE)
]
Categorical = Annotated[
    str | None,
    typer.Option(
        help="Read these columns as categories even if their cells are numbers, as for postal codes.",
        metavar="NAME,NAME,...", rich_help_panel=TABLE,
    ),
]  # fmt: skip
DropFirst = Annotated[
    bool,
    typer.Option(
        "--drop-first", help="Give the first category of each text column no indicator.", rich_help_panel=TABLE
    ),
]
Missing = Annotated[
    str,
    typer.Option(
        help="What to do with empty cells: drop the row, put in the mean of the column, or stop with an error.",
        autocompletion=_missing, metavar="drop|mean|error", rich_help_panel=TABLE,
    ),
]  # fmt: skip
Empty = Annotated[
    str | None,
    typer.Option(
        help="Words and numbers that stand for nothing, for example refused,-999. Their cells count as empty, as those "
        "with NA, null and the like always do.",
        metavar="WORD,WORD,...", rich_help_panel=TABLE,
    ),
]  # fmt: skip
Standardize = Annotated[
    bool,
    typer.Option(
        "--standardize/--no-standardize", help="Scale features and target to mean 0 and standard deviation 1.",
        rich_help_panel=TABLE,
    ),
]  # fmt: skip
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Say whether the first line holds the names of the columns. By default the file's content decides.",
        show_default=False, rich_help_panel=TABLE,
    ),
]  # fmt: skip
Separator = Annotated[
    str | None,
    typer.Option(
        help="What stands between two cells, for example ';' or tab. By default it is found.",
        metavar="TEXT", rich_help_panel=TABLE,
    ),
]  # fmt: skip
Decimal = Annotated[
    str | None,
    typer.Option(
        help="The decimal mark of numbers, '.' or ','. By default it is found.", metavar=".|,", rich_help_panel=TABLE
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(
        help="How to read 03/04/2024, where both are possible: day-first or month-first.",
        metavar="day-first|month-first", rich_help_panel=TABLE,
    ),
]  # fmt: skip
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of a text file, for example latin-1. By default UTF-8, or else Windows-1252.",
        metavar="NAME", rich_help_panel=TABLE,
    ),
]  # fmt: skip
SheetName = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        help="Sheet of a spreadsheet: its name, or its number from 0, which is the default.",
        metavar="NAME",
        rich_help_panel=TABLE,
    ),
]

Loss = Annotated[
    str | None,
    typer.Option(
        help=f"The loss: {', '.join(LOSSES)}. Two take a number, as quantile:0.9 (its level) and "
        "huber:1.35 (its width). By default it is chosen by the target: logistic for two classes, softmax for "
        "more, squared for numbers.",
        autocompletion=_losses, metavar="NAME", rich_help_panel=MODEL,
    ),
]  # fmt: skip
KText = Annotated[
    str | None,
    typer.Option(
        "--k", "-k", metavar="NAME[:param=value,...]", autocompletion=_names, rich_help_panel=MODEL,
        help="The convex function K. It decides what the weights are constrained to, for example l1 or lp:p=1.5. "
        "'lionk functions' lists all.",
    ),
]  # fmt: skip
WeightDecay = Annotated[
    float | None,
    typer.Option(
        help="The weight decay lam: the weights w keep to the set where K*(lam w) is finite. With l1 that is "
        "|w| <= 1/lam.",
        rich_help_panel=MODEL,
    ),
]  # fmt: skip
HoldOut = Annotated[
    float | None,
    typer.Option(
        help="Keep this share of the rows out of the fit, for example 0.25, and report the score on them.",
        metavar="SHARE", rich_help_panel=MODEL,
    ),
]  # fmt: skip
Folds = Annotated[
    int | None,
    typer.Option(
        "--cv", help="Choose the weight decay by cross-validation with this many folds, for example 5.",
        metavar="FOLDS", rich_help_panel=MODEL,
    ),
]  # fmt: skip
Lams = Annotated[
    str | None,
    typer.Option(
        help="The weight decays that --cv tries: a list such as 0.1,0.3,1, or a range LOW:HIGH:COUNT. "
        "By default 0.03:30:9.",
        metavar="LIST|RANGE", rich_help_panel=MODEL,
    ),
]  # fmt: skip

LR = Annotated[
    float | None,
    typer.Option(help="The learning rate. By default a rule finds it without tuning.", rich_help_panel=RUN),
]
Schedule = Annotated[
    str,
    typer.Option(
        help=f"How the learning rate of --lr changes over the run: {', '.join(SCHEDULES)}.",
        autocompletion=_schedules, rich_help_panel=RUN,
    ),
]  # fmt: skip
Betas = Annotated[
    str, typer.Option(help="The two momentum coefficients of Lion.", metavar="B1,B2", rich_help_panel=RUN)
]
Decay = Annotated[str, typer.Option(help="Apply weight decay in its explicit or implicit form.", rich_help_panel=RUN)]
Backend = Annotated[
    str,
    typer.Option(
        help="Array library to run on. 'lionk doctor' says which ones work here.",
        autocompletion=_backends, rich_help_panel=RUN,
    ),
]  # fmt: skip
Device = Annotated[str | None, typer.Option(help="Device of that library, for example cuda:0.", rich_help_panel=RUN)]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a running Dask scheduler, for example tcp://host:8786. Used only with --backend dask.",
        metavar="ADDRESS", rich_help_panel=RUN,
    ),
]  # fmt: skip
DType = Annotated[str, typer.Option(help="Compute in float64 or float32.", rich_help_panel=RUN)]
MaxIter = Annotated[int, typer.Option(help="Stop after this many steps.", rich_help_panel=RUN)]
Tol = Annotated[
    float, typer.Option(help="Stop when the certified gap is at most this fraction of |F|.", rich_help_panel=RUN)
]
ATol = Annotated[
    float,
    typer.Option(
        help="Add this to the gap that is allowed. Give it where the smallest possible F is 0.", rich_help_panel=RUN
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the random start, and of --hold-out and --cv. By default the run starts at the allowed point "
        "nearest to 0.",
        rich_help_panel=RUN,
    ),
]  # fmt: skip

Out = Annotated[
    Path,
    typer.Option(
        help="Folder for the files of this run. It is made if it is missing, and git ignores what is in it.",
        metavar="FOLDER", rich_help_panel=FILES,
    ),
]  # fmt: skip
Plot = Annotated[
    str | None,
    typer.Option(
        help="Write the picture here (.png, .svg or .pdf), or 'none'. By default picture.png in the folder.",
        metavar="PATH", show_default=False, rich_help_panel=FILES,
    ),
]  # fmt: skip
Json = Annotated[
    str | None,
    typer.Option(
        "--json", help="Write the trace of the run here, 'none', or '-' for the terminal. By default trace.json in the "
        "folder.",
        metavar="PATH", show_default=False, rich_help_panel=FILES,
    ),
]  # fmt: skip
Save = Annotated[
    Path | None,
    typer.Option(
        help="Save the fitted model here, so that 'lionk predict' can use it.", metavar="FILE", rich_help_panel=FILES
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Save the run here every 500 steps and when you press Ctrl-C, so that --resume can continue it.",
        metavar="FILE", rich_help_panel=FILES,
    ),
]  # fmt: skip
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.", rich_help_panel=FILES)]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Write the files, and print nothing but problems.", rich_help_panel=FILES),
]
