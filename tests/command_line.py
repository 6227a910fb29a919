"""``lk(*words)``: the command ``lionk`` in this process.

Typer's own runner makes the command of all its parameters anew at each call, which takes longer than most commands do;
here it is made once.
"""

from __future__ import annotations

import functools
from typing import Any

from typer import testing

from lionk.app.cli import app

# A name that Typer keeps to itself, and types so.
testing._get_command = functools.cache(testing._get_command)  # type: ignore[attr-defined]


def lk(*words: Any) -> testing.Result:
    return testing.CliRunner().invoke(app, list(map(str, words)))
