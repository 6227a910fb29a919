"""Every target of ``lionk reproduce``: its claims hold on a small run, its files are written, its manners."""

from __future__ import annotations

import inspect
import json
import math

import matplotlib as mpl
import pytest

from command_line import lk
from lionk.app import style
from lionk.app.reproduce import TARGETS, Check, Outcome, command, load, targets
from turns import FULL

# Networks are trained here; tests/app/test_training.py, test_contest.py and test_language.py have parts of them.
HEAVY = dict.fromkeys(["training", "contest", "language"], pytest.mark.slow)


@pytest.mark.parametrize("name", [pytest.param(n, marks=HEAVY.get(n, ())) for n in TARGETS])
def test_the_claims_of_a_target_hold(name, tmp_path):
    module = load(name)
    outcome = module.run(0, True)
    assert outcome.checks
    for c in outcome.checks:
        assert c.holds, f"{c.claim}: {c.measured}, expected {c.expected}"
    command.write_json(tmp_path / "a.json", command.document(name, 0, True, outcome))
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert (document["format"], document["target"]) == ("lionk reproduce 1", name)
    assert [c["claim"] for c in document["checks"]] == [c.claim for c in outcome.checks]
    with mpl.rc_context(style.STYLE):
        figure = module.draw(outcome.numbers)
        if not FULL:  # of one target the panels are laid out below, which takes longer than to read every text
            figure.set_layout_engine("none")
        figure.draw_without_rendering()  # each text is read; pixels show nothing more
        for axes in figure.axes:
            seen = axes.get_title(loc="left") or axes.get_xlabel() or axes.get_ylabel()
            assert seen, "a panel has neither title nor label"


def test_the_picture_of_a_target_is_written(tmp_path):
    command.picture("phase1", load("phase1").run(0, True), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_says_what_to_see_what_the_paper_says_and_what_was_scaled_down(name):
    text = targets.text(load(name))
    assert text.splitlines()[0].endswith(".")
    for part in ("What to see:", "The paper:", "Scaled down:"):
        assert part in text, f"{name} has no {part!r}"
    assert list(inspect.signature(load(name).run).parameters) == ["seed", "quick"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in TARGETS if n != "contest"])  # takes minutes: its result is kept and tested
@pytest.mark.parametrize("seed", [0, 1])
def test_the_claims_hold_at_full_size(name, seed):
    for c in load(name).run(seed, False).checks:
        assert c.holds, f"{c.claim}: {c.measured}, expected {c.expected}"


def test_the_same_seed_gives_the_same_numbers():
    first, second, third = (load("phase1").run(seed, True).numbers["random"]["l1"] for seed in (3, 3, 4))
    assert (first == second).all() and not (first == third).all()


@pytest.fixture
def small(monkeypatch):
    """Two targets of no work, one of which fails."""

    class Module:
        """A title.

        What to see: nothing. The paper:
        nothing. Scaled down: nothing.
        """

        def __init__(self, measured):
            self.measured = measured
            self.__doc__ = type(self).__doc__

        def run(self, seed, quick):
            return Outcome((Check("a number", self.measured, 0.0, 1.0),), {"seed": seed, "quick": quick})

        def draw(self, numbers):
            from matplotlib.figure import Figure

            return Figure()

    made = {"good": Module(0.5), "bad": Module(math.nan)}
    monkeypatch.setattr(command, "TARGETS", dict.fromkeys(made, "a line"))
    monkeypatch.setattr(command, "load", made.__getitem__)


@pytest.mark.usefixtures("small")
def test_the_command_lists_runs_and_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "good  a line" in lk("reproduce").output
    done = lk("reproduce", "good", "--seed", 7)
    assert done.exit_code == 0, done.output
    assert "What to see: nothing. The paper: nothing." in done.output and "holds" in done.output
    made = tmp_path / "lionk-reproduce"
    assert list(tmp_path.iterdir()) == [made]
    assert sorted(p.name for p in made.iterdir()) == [".gitignore", "good.json", "good.png"]
    assert json.loads((made / "good.json").read_text())["numbers"] == {"seed": 7, "quick": False}
    done = lk("reproduce", "good", "--quick", "--plot", "none", "--json", "-", "--quiet")
    assert json.loads(done.stdout)["quick"] is True


@pytest.mark.usefixtures("small")
def test_a_claim_that_fails_is_an_error_and_all_runs_the_others_too(tmp_path):
    done = lk("reproduce", "all", "--plot", tmp_path, "--json", tmp_path)
    assert done.exit_code == 1
    assert "a claim does not hold in bad" in done.output and "FAILS" in done.output
    assert {p.name for p in tmp_path.iterdir()} == {f"lionk-{n}.{s}" for n in ("good", "bad") for s in ("png", "json")}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["better"], "choose one of good, bad, all"),
        (["good", "--plot", "a.txt"], "must end in one of .png, .svg, .pdf"),
        (["all", "--plot", "nowhere"], "an existing folder"),
        (["all", "--json", "-"], "for one target"),
    ],
)
def test_bad_input_is_refused_before_the_work(arguments, message):
    done = lk("reproduce", *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_the_interval_of_a_check():
    assert [Check("", m, 0.0, 1.0).holds for m in (0.0, 1.0, 1.1, math.nan)] == [True, True, False, False]
    assert Check("", 1, 2.0, 2.0).expected == "2"
    assert Check("", 1, 0.0, 2.0).expected == "at most 2"
    assert Check("", 1, 3.0, math.inf).expected == "at least 3"
    assert Check("", 1, 3.0, 4.0).expected == "3 to 4"
