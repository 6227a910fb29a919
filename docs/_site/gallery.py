"""The gallery: every target of ``lionk reproduce`` becomes a page with its text, picture and checks.

Each is run, but for those that take minutes, whose results are kept in _static.
"""

from __future__ import annotations

import json
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from lionk.app.console import BadInput
from lionk.app.reproduce import TARGETS, Outcome, load
from lionk.app.reproduce.command import picture
from lionk.app.reproduce.targets import restored, text
from lionk.conformance.report.escape import table

FOLDER = Path(__file__).parents[1] / "gallery"
KEPT = Path(__file__).parents[1] / "_static"


def page(name: str, outcome: Outcome | None, note: str) -> str:
    title, _, body = text(load(name)).partition("\n\n")
    parts = [f"# {title.rstrip('.')}\n", f"`lionk reproduce {name}` makes this page's picture and numbers. {note}\n"]
    if outcome is not None:
        words = {True: "holds", False: "**FAILS**"}
        rows = ((_cell(c.claim), f"{c.measured:.4g}", c.expected, words[c.holds]) for c in outcome.checks)
        claims = table(("claim", "measured", "expected", ""), rows, numbers=("measured", "expected"))
        parts += [f"```{{image}} {name}.png\n:width: 100%\n:alt: {TARGETS[name]}\n```\n"]  # links to the full size
        body += "\n\n" + "\n".join(claims)
    return "\n".join(parts) + "\n" + _plain(body) + "\n"


def _plain(body: str) -> str:
    return "\n".join(line if line.startswith("|") else _escape(line) for line in body.splitlines())


def _cell(claim: str) -> str:
    return _escape(claim).replace("|", "\\|")


def _escape(line: str) -> str:
    """Texts of targets are plain; only `code` is markup in them."""
    return "".join(p if i % 2 else p.replace("*", "\\*").replace("_", "\\_") for i, p in enumerate(line.split("`")))


def _write(app: Sphinx) -> None:
    mode = app.config.gallery_mode
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{name}.{suffix}" for name in TARGETS for suffix in ("md", "png")} | {"index.md"}
    for old in FOLDER.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name in TARGETS:
        outcome, note, kept = None, "It was not run for this build.", KEPT / f"{name}.json"
        if mode != "none" and kept.exists():
            outcome, note = restored(json.loads(kept.read_text(encoding="utf-8"))), "Here from a run that was kept."
            picture(name, outcome, FOLDER / f"{name}.png")
        elif mode != "none":
            logging.getLogger(__name__).info("running %s (%s)", name, mode)
            try:
                outcome = load(name).run(0, mode == "quick")
                note = "Here from a small run." if mode == "quick" else ""
                picture(name, outcome, FOLDER / f"{name}.png")
            except BadInput as error:  # a library that the target needs is not here
                note = f"It was not run for this build: {error}."
        (FOLDER / f"{name}.md").write_text(page(name, outcome, note), encoding="utf-8")
    pages = "\n".join(f"{name} <{name}>" for name in TARGETS)
    paper = "[arXiv 2310.05898](https://arxiv.org/abs/2310.05898)"
    head = f"# The paper, reproduced\n\nFigures and claims of {paper}, one command each.\n"
    listed = "\n".join(f"* [{name}]({name}.md): {_escape(summary)}" for name, summary in TARGETS.items())
    tree = f"\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    (FOLDER / "index.md").write_text(f"{head}\n{listed}\n{tree}", encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_config_value("gallery_mode", "full", "")
    app.connect("config-inited", lambda app, _: _write(app))
