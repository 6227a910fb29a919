"""The command line: ``lionk solve``, ``functions``, ``reproduce``, ... Nothing else in lionk imports this."""

from __future__ import annotations

import io
import sys

# What the extra "cli" brings.
_EXTRA = {"jinja2", "matplotlib", "numpy", "pandas", "rich", "scipy", "sklearn", "threadpoolctl", "typer"}


def main() -> None:
    """Entry point. Where a library of the extra is missing: one line that says how to get it, and exit code 1."""
    try:
        from rich.console import Console

        from .cli import app
        from .console import drop

        # the reader of a pipe has seen enough, of a help text too; the command goes on to its files and its exit code
        Console.on_broken_pipe = lambda self: drop(self.file)  # type: ignore[method-assign]
        for stream in (sys.stdout, sys.stderr):  # a name in a table may have letters that a terminal cannot show
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        app(prog_name="lionk")
    except KeyboardInterrupt:  # before or after the work, which has its own answer
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        sys.exit(f"lionk: the command line needs {missing}, which is not installed: pip install 'lionk[cli]'")
