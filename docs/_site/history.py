"""The page of asv, with the history of asv_bench/results, as part of the site. It needs no network and no server.

asv's page loads its libraries from elsewhere and its numbers by requests. Here the libraries are those of
_static/asv, the same files, and the numbers come in a script, so that the page also opens from a disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from sphinx.application import Sphinx

STATIC = Path(__file__).parents[1] / "_static" / "asv"
LOCAL = "../_static/asv/"
SHIM = """(function () {
  $.ajax = function (options) {
    var name = decodeURIComponent(options.url.split("?")[0]), found = $.Deferred();
    setTimeout(function () {  // as a request would: the other scripts come first
      if (name in NUMBERS) found.resolve(JSON.parse(JSON.stringify(NUMBERS[name])));
      else found.reject();
    }, 0);
    return found.promise();
  };
})();
"""
MISSING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Performance over time</title></head>
<body><p>The history was not drawn for this build: {reason}.</p></body></html>
"""


def why_not(root: Path) -> str:
    """What is missing here; empty if the page can be made."""
    if find_spec("asv") is None:
        return "asv is not installed (pip install 'lionk[bench]')"
    commits = {p.name.split("-")[0] for p in (root / "asv_bench" / "results").glob("*/*-*.json")}
    command = ["git", "-C", str(root), "cat-file", "--batch-check"]
    asked = "\n".join(commits)
    if shutil.which("git") is None:
        return "there is no git"
    run = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if run.returncode or not commits:
        return "this is no clone of the repository, or it has no results"
    known = sum("missing" not in line for line in run.stdout.splitlines())
    return "" if known == len(commits) else "the clone is shallow; git fetch --unshallow"


def publish(root: Path, out: Path) -> None:
    """Write the page to ``out``. Raises RuntimeError with what asv says."""
    with TemporaryDirectory() as folder:
        text = (root / "asv_bench" / "asv.conf.json").read_text(encoding="utf-8")
        settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
        bench = root / "asv_bench"
        settings |= {"repo": str(root), "html_dir": str(out), "results_dir": str(bench / "results")}
        settings |= {"benchmark_dir": str(bench / "benchmarks"), "env_dir": f"{folder}/env"}
        configuration = Path(folder) / "asv.conf.json"
        configuration.write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "asv", "--config", str(configuration), "publish", "--no-pull"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"asv publish failed: {run.stdout[-1000:]}{run.stderr[-1000:]}")
    local(out)


def local(out: Path) -> None:
    """Make the published page one that loads nothing from elsewhere, and asks nobody for its numbers."""
    files = sorted(out.rglob("*.json"))
    numbers = {p.relative_to(out).as_posix(): json.loads(p.read_text(encoding="utf-8")) for p in files}
    numbers["swallow.ico"] = ""  # asked for to see whether a server is there
    (out / "numbers.js").write_text(f"var NUMBERS = {json.dumps(numbers)};\n{SHIM}", encoding="utf-8")
    for p in files:
        p.unlink()
    page = out / "index.html"
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'(src|href)="https://[^"]*/([^/"]+\.(?:js|css))"[^>]*?(>|(?= onerror))', _to_local, text)
    text = re.sub(r'\s(integrity|crossorigin|referrerpolicy)="[^"]*"', "", text)
    first = '<script language="javascript" type="text/javascript"\n            src="asv.js">'
    assert first in text, "asv's page is not as it was; see docs/_site/history.py"
    text = text.replace(first, f'<script src="numbers.js"></script>\n    {first}')
    page.write_text(text.replace("<title>airspeed velocity</title>", "<title>lionk: performance over time</title>"))


def _to_local(found: re.Match[str]) -> str:
    name = found.group(2)
    if not (STATIC / name).exists():
        raise RuntimeError(f"asv's page loads {name}, which docs/_static/asv lacks")
    return f'{found.group(1)}="{LOCAL}{name}"{found.group(3)}'


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    root = Path(os.environ.get("CI_ROOT", Path(__file__).parents[2]))
    out = Path(app.outdir) / "history"
    shutil.rmtree(out, ignore_errors=True)
    reason = why_not(root)
    if reason:
        out.mkdir()
        (out / "index.html").write_text(MISSING.format(reason=reason), encoding="utf-8")
    else:
        publish(root, out)


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _write)
