"""The pages: their code runs, every public name has its place in the reference, links between pages lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import lionk
from lionk.functions.registry import entries as registry

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {"training.md"}  # by tests/docs/test_training_page.py
PAGES = ["../README.md", *sorted(p.name for p in DOCS.glob("*.md") if "```python" in p.read_text(encoding="utf-8"))]


def _load(name):
    """A module of the site, which needs Sphinx, of the docs extra; None without it."""
    if importlib.util.find_spec("sphinx") is None:
        return None
    spec = importlib.util.spec_from_file_location(f"lionk_site_{name}", DOCS / "_site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    lionk.names()  # which enters all of them: what is entered later, into the copy, would be lost with it
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


@pytest.mark.parametrize("page", [p for p in PAGES if p not in ELSEWHERE])
def test_the_code_of_a_page_runs(page):
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    space = {}
    for block in blocks:
        exec(compile(block, page, "exec"), space)


def test_links_between_pages_lead_to_files():
    for page in sorted(DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text(encoding="utf-8")):
            if target.startswith("gallery/"):  # written when the site is built
                assert Path(target).stem in {*lionk_targets(), "index"}, f"{page.name}: {target}"
            else:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def lionk_targets():
    from lionk.app.reproduce import TARGETS

    return TARGETS


def test_the_decision_guide_names_functions_that_exist():
    text = (DOCS / "which-k.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in text.split("## By layer")[0].splitlines() if line.count("|") > 3]
    named = {n for row in rows for n in re.findall(r"`(\w+)`", row)} - {"K"}
    assert len(named) > 20
    assert named <= set(lionk.names()), named - set(lionk.names())


def test_every_public_name_is_in_the_reference():
    api = _load("api")
    if api is None:
        pytest.skip("Sphinx is of the docs extra; .ci/run builds the site")
    modules = api.modules()
    assert {"lionk", "lionk.functions", "lionk.sets", "lionk.theory", "lionk.conventions", "lionk.conformance"} <= {
        *modules
    }
    assert {f"lionk_{n}" for n in ("numpy", "torch", "jax", "dask", "cupy")} <= {*modules}
    for name in modules:
        page, module = api.page(name), sys.modules[name]
        for public in api.names(module):
            thing = getattr(module, public)
            place = f"`{thing.__name__}`" if type(thing) is type(sys) else f":: {name}.{public}\n"
            assert place in page, f"{name}.{public} is not in the reference"
            assert api.documentation(f"{name}.{public}", thing), f"{name}.{public} has no docstring"


def test_faults_of_pages_are_found(tmp_path):
    inside = _load("inside")
    if inside is None:
        pytest.skip("Sphinx is of the docs extra; .ci/run builds the site")
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html#y"></a><a href="#x"></a><a href="https://a.b/c#d"></a>')
    (tmp_path / "b.html").write_text('<img src="c%20d.png" alt="a curve"><a href="sub/../a.html#x" name="y"></a>')
    (tmp_path / "c d.png").write_bytes(bytes(inside.HEAVY))
    assert inside.faults(tmp_path) == []
    (tmp_path / "c d.png").write_bytes(bytes(inside.HEAVY + 1))
    (tmp_path / "d.html").write_text('<img src="e.png"><a href="a.html#z"></a><a href="#q"></a>')
    found = "\n".join(inside.faults(tmp_path))
    for fault in ("heavy", "e.png has no alt", "e.png does not exist", "a.html#z: no such", "#q: no such"):
        assert fault in found
    assert found.count("\n") == 4


def test_pages_that_load_from_elsewhere_are_found(tmp_path):
    offline = _load("offline")
    if offline is None:
        pytest.skip("Sphinx is of the docs extra; .ci/run builds the site")
    good = '<a href="https://example.org">x</a><link rel="canonical" href="https://a.b/"><img src="a.png">'
    (tmp_path / "a.html").write_text(good)
    (tmp_path / "a.css").write_text("b { background: url(c.png) }")
    assert offline.loaded_from_elsewhere(tmp_path) == []
    (tmp_path / "b.html").write_text('<script async src="https://cdn.example/x.js"></script><img src="//a.b/c.png">')
    (tmp_path / "c.html").write_text('<link href="https://a.b/c.css" rel="stylesheet">')
    (tmp_path / "b.css").write_text("@import 'https://fonts'; a { src: url(https://a.b/c.woff) }")
    assert len(offline.loaded_from_elsewhere(tmp_path)) == 5


def test_the_output_in_the_readme_is_what_its_code_prints(capsys):
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    code, output = re.search(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL).groups()
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == output


def test_the_commands_of_the_readme_name_extras_that_exist():
    import tomllib

    root = DOCS.parent
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = (root / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"<!-- BEGIN commands(.*?)<!-- END commands", text, re.DOTALL)[1]
    commands = [line for line in lines.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 5
    for line in commands:
        wanted = re.search(r"-e '\.\[([\w,]+)\]'", line)[1].split(",")
        assert set(wanted) <= set(extras), line
        if "lionk conform " in line:  # the port that is judged comes along
            assert "lion-pytorch" in line
    assert "lionk[cli,dask,jax,torch]" in extras["docs"]  # the reference imports the backends


def test_counts_on_the_pages_are_those_of_the_code():
    """The README is the first to be read, and the last that someone would think of after adding a function."""
    from beyond_a_step import CORRECT, EVERY

    counts = {
        "functions K": len(lionk.names()),
        "registered names": len(lionk.names()),
        "named algorithms": len(lionk.algorithms()),
        "correct variants": len(CORRECT),
    }
    found = []
    for page in (DOCS.parent / "README.md", *DOCS.glob("*.md")):
        for number, what in re.findall(rf"([\d,]+) ({'|'.join(counts)})", page.read_text(encoding="utf-8")):
            found.append(what)
            assert int(number.replace(",", "")) == counts[what], f"{page.name}: {number} {what}"
    assert set(found) == set(counts)
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert int(re.search(r"more than (\d+) mistakes", readme)[1]) < len(EVERY)
