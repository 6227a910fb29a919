"""The ways into the kit: adapters, command line, pytest plugin, other languages."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError, validate

import lionk
from command_line import lk
from lionk.app.files import plain
from lionk.conformance import Capabilities, Loopback, adapt, check
from lionk.conformance.judging.trace import run
from lionk.conformance.ports.exchange import Program, claims_of_program, judge_results
from lionk.conformance.ports.export import export
from lionk.conformance.ports.golden import unpack
from lionk.conformance.report.schemas import NAMES, schema
from lionk.conformance.specification.families import cases
from turns import FULL

ROOT = Path(lionk.__file__).parent.parent


def failures(report):
    return [f"{r.id}: {r.text}" for r in report.failures]


# -- plain functions and classes ----------------------------------------------------------------------------------


def step(p, exp_avg, g, lr=1e-3, beta1=0.9, beta2=0.98, wd=0.0):
    c = beta1 * exp_avg + (1 - beta1) * g
    return p * (1 - lr * wd) - lr * np.sign(c), beta2 * exp_avg + (1 - beta2) * g


def in_place(x, m, grad, /, lr, betas, weight_decay):
    c = betas[0] * m + (1 - betas[0]) * grad
    x *= 1 - lr * weight_decay
    x -= lr * np.sign(c)
    m *= betas[1]
    m += (1 - betas[1]) * grad


def with_state(x, grad, state, lr, b1, b2, lam, step):
    assert (state is None) == (step == 0)
    m = 0 * x if state is None else state["m"]
    x, m = x - lr * (np.sign(b1 * m + (1 - b1) * grad) + lam * x), b2 * m + (1 - b2) * grad
    return x, {"m": m}


class Handle:
    def __init__(self, w, eta=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        self.w, self.m, self.hyper = w, 0 * w, (eta, *betas, weight_decay)

    def step(self, grad):
        self.w, self.m = step(self.w, self.m, grad, *self.hyper)

    def state_dict(self):
        return {"m": self.m}

    def load_state_dict(self, state):
        self.m = state["m"]


def coupled(x, m, g, lr, b1, b2, wd):
    return step(x, m, g + wd * x, lr, b1, b2, 0.0)


def no_decay(x, m, g, lr, b1, b2):
    return step(x, m, g, lr, b1, b2, 0.0)


@pytest.mark.parametrize("port", [step, in_place, with_state, Handle, no_decay])
def test_plain_code_is_adapted(port):
    report = check(port, diagnose=False)
    assert report.passed, failures(report)
    assert report.port.endswith(port.__name__)


def test_plain_code_of_another_library():
    import torch

    def torch_step(x, m, grad, lr, b1, b2, wd):
        c = torch.lerp(grad, m, b1)
        return x - lr * (torch.sign(c) + wd * x), torch.lerp(grad, m, b2)

    report = check(torch_step, library="torch", diagnose=False)
    assert report.passed, failures(report)


def test_the_diagnosis_of_plain_code():
    report = check(coupled, level=0)
    assert report.diagnosis[0][0] == "coupled_decay"


def test_a_step_that_two_constants_describe_is_measured():
    def strong(x, m, g, lr, b1, b2, wd):
        new, after = step(x, m, g, lr, b1, b2, 0.0)
        return new + 0.25 * (new - x) - lr * wd * 3 * x, after

    report = check(strong, level=0)
    assert "with a = 1.25, b = 1.2; right are 1 and 0.4" in report.measured[0]
    assert report.measured[0] in report.to_markdown()


def test_names_can_be_given_and_are_checked():
    def odd(theta0, vel, slope, *, speed, b1, b2, wd):
        return step(theta0, vel, slope, speed, b1, b2, wd)

    names = {"x": "theta0", "m": "vel", "grad": "slope", "lr": "speed"}
    assert check(odd, names=names, level=0, diagnose=False).passed
    with pytest.raises(TypeError, match="no parameter for lr among theta0, vel, slope, speed"):
        adapt(odd)
    with pytest.raises(TypeError, match="lr=slowness"):
        adapt(odd, names={"lr": "slowness"})
    with pytest.raises(TypeError, match="no parameter for the betas"):
        adapt(lambda x, m, grad, lr: None)
    with pytest.raises(TypeError, match="needs parameters for x, grad and m"):
        adapt(lambda x, g, lr, betas: None)
    with pytest.raises(TypeError, match=r"-> optax\.GradientTransformation"):
        adapt(lambda learning_rate, b1, b2: None)
    with pytest.raises(TypeError, match="no method step"):
        adapt(dict)
    with pytest.raises(TypeError, match="is no port"):
        adapt(3)


def test_hyper_parameters_of_a_base_are_found():
    class Base(Handle):
        def __init__(self, w, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
            super().__init__(w, lr, betas, weight_decay)

    class Derived(Base):
        def __init__(self, *arrays, **hyper):
            super().__init__(*arrays, **hyper)

    assert check(Derived, level=0, diagnose=False).passed


def test_options_claims_and_partials():
    calls = []

    def noted(x, m, g, lr, b1, b2, wd, note=""):
        calls.append(note)
        return step(x, m, g, lr, b1, b2, wd)

    report = check(noted, options={"note": "a"}, claims={"dtypes": ("float32",)}, level=0, diagnose=False)
    assert report.passed
    assert set(calls) == {"a"}
    assert {r.id.rpartition("/")[2] for r in report.results} == {"float32"}
    assert "note='b'" in check(functools.partial(noted, note="b"), level=0, only="S1.first", diagnose=False).port


def test_defaults_of_plain_code():
    assert check(step, level=0, only="S1.first", diagnose=False).defaults == [
        ("lr", 1e-4, 1e-3),
        ("betas", (0.9, 0.99), (0.9, 0.98)),
    ]


def test_claims_are_checked():
    with pytest.raises(ValueError, match="dtypes"):
        Capabilities(dtypes=("float128",))
    with pytest.raises(ValueError, match="decays"):
        Capabilities(decays={"some": {}})
    with pytest.raises(ValueError, match=r"specification 2\.0"):
        Capabilities(specification="2.0")
    with pytest.raises(ValueError, match=r"specification 1\.99"):
        Capabilities(specification="1.99")
    Capabilities(specification="1.0")


# -- frameworks --------------------------------------------------------------------------------------------------------


def test_torch_optimizers():
    from lion_in_pieces import Lion

    class ScalesGradient(Lion):
        def one(self, p, g, state, group):
            super().one(p, p.grad.mul_(2), state, group)

    report = check(Lion, diagnose=False)  # of which test_conform_kinds.py has wrong ones
    assert report.passed, failures(report)
    assert {r.verdict for r in report.results if r.rule.id == "S7.groups"} == {"pass"}
    assert {r.rule.id for r in report.results if r.verdict == "warn"} == {"S6.nan_result"}
    wrong = check(ScalesGradient, level=0, diagnose=False)
    assert {r.rule.id for r in wrong.failures} >= {"S4.pure"}


def test_torch_muon_with_its_declared_approximation():
    import torch

    report = check(torch.optim.Muon)
    assert report.passed, failures(report)
    assert {n: b for n, _, b in report.defaults}["betas"] == (0.95**2, 0.95)
    one = {"level": 0, "dtypes": ("float64",), "diagnose": False}
    assert not check(torch.optim.Muon, claims={"accuracy": 0.0}, **one).passed
    other = functools.partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")  # another scale is another K
    assert not check(other, **one).passed
    assert check(other, K={"name": "muon", "scaling": "match_rms_adamw"}, **one).passed


def test_known_libraries():
    """Judged where they are installed; docs/conformance-results.md keeps what was seen."""
    found, dtypes = 0, None if FULL else ("float32", "bfloat16")
    for name, attribute in (("lion_pytorch", "Lion"), ("pytorch_optimizer", "Lion")):
        try:
            module = __import__(name)
        except ImportError:
            continue
        found += 1
        report = check(getattr(module, attribute), dtypes=dtypes, diagnose=False)
        assert report.passed, failures(report)
    if not found:
        pytest.skip("neither lion-pytorch nor pytorch_optimizer is installed")


def test_optax():
    import optax

    report = check(optax.lion, claims={"specification": "1.0", "dtypes": ("float32",)}, diagnose=False)
    assert report.passed, failures(report)
    assert report.defaults == [("weight_decay", 0.0, 1e-3)]
    for mode, K in (("hard", "l1"), ("smooth", "log_cosh"), ("refined", "huber")):
        direction = functools.partial(optax.scale_by_lion, mode=mode)
        report = check(direction, K=K, only="S1", dtypes=("float32",), diagnose=False)
        assert report.passed, failures(report)
    assert not check(functools.partial(optax.scale_by_lion, mode="smooth"), only="S1", level=1, diagnose=False).passed
    with pytest.raises(TypeError, match="pass the function that makes it"):
        adapt(optax.lion(1e-3))


@pytest.mark.slow
def test_optax_by_the_newest_specification():
    import optax

    report = check(optax.lion, diagnose=False)
    assert report.passed, failures(report)


@pytest.mark.parametrize("library", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("version", ["1.0", pytest.param("1.1", marks=pytest.mark.slow)])
def test_keras(library, version, tmp_path):
    """Its library is chosen when it is imported, so in a process of its own."""
    words = [sys.executable, "-W", "ignore", "-m", "lionk", "conform", "keras.optimizers:Lion"]
    known = {**os.environ, "KERAS_BACKEND": library, "KERAS_HOME": str(tmp_path), "JAX_ENABLE_X64": "1"}
    words += ["--dtype", "float64", "--json", "r.json", "--specification", version]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=known, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert {"keras", library} == set(report["versions"])
    warned = {"S1.zero_beta"} | ({"S6.nan_result"} if library == "torch" else set())
    assert {n for n, r in report["rules"].items() if r["verdict"] == "warn"} == warned
    assert report["defaults"] == [{"name": "lr", "specification": 1e-4, "port": 1e-3}]


# -- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def good(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):\n"
        "    u = np.sign(b1 * m + (1 - b1) * grad)\n"
        "    return x - lr * (u + wd * x), b2 * m + (1 - b2) * grad\n"
        "def bad(x, m, grad, rate=1e-4, b1=0.9, b2=0.99, decoupled=0.0):\n"
        "    return good(x, m, grad + decoupled * x, rate, b1, b2)\n"
    )
    return tmp_path


def test_cli_passes_and_writes_reports(here):
    files = ["--json", "r.json", "--md", "r.md", "--junit", "r.xml", "--html", "r.html"]
    done = lk("conform", "mine.py:good", *files)
    assert done.exit_code == 0, done.output
    assert "PASS: holds level 3" in done.output
    assert json.loads(Path("r.json").read_text())["passed"] is True
    assert "| S3.decay | L0 | pass |" in Path("r.md").read_text()
    assert ElementTree.parse("r.xml").getroot().get("failures") == "0"
    page = Path("r.html").read_text()
    assert "holds level L3" in page
    assert page.count("<svg") == 1


def test_cli_names_the_mistake(here):
    mapped = ["--map", "lr=rate", "--map", "weight_decay=decoupled", "--level", "0"]
    done = lk("conform", "mine.py:bad", *mapped, "--html", "r.html")
    assert done.exit_code == 1
    page = Path("r.html").read_text()
    assert "It looks like coupled weight decay" in page
    assert page.count("<svg") == 2
    assert not re.search(r"<script|<link|\bsrc=|@import|url\(http", page)
    assert "looks like coupled weight decay" in done.output
    assert "first divergence: S3.decay/lr_wd/float64: step" in done.output
    done = lk("conform", "mine.py:bad", *mapped, "--replay", "S3.decay/lr_wd/float64")
    assert done.exit_code == 0, done.output
    (replay,) = here.glob("replay_*.py")
    shown = subprocess.run([sys.executable, replay], capture_output=True, text=True, check=True, cwd=here).stdout
    assert "step 0, lr = 0.05" in shown
    assert "the direction is not the stated one" in shown


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("S7.shards/two/float64", "S7.shards/two/float64: mine.good: right"),
        ("S6.nan_result/second/float32", "step 1, lr = 0.25"),
        ("S4.pure/S1.first/one/float64", "S1.first/one/float64: mine.good"),
    ],
)
def test_cli_replays_every_kind_of_test(here, test, says):
    done = lk("conform", "mine.py:good", "--replay", test)
    assert done.exit_code == 0, done.output
    (replay,) = here.glob("replay_*.py")
    assert says in subprocess.run([sys.executable, replay], capture_output=True, text=True, check=True, cwd=here).stdout


def test_cli_known_failures(here):
    mapped = ["--map", "lr=rate", "--map", "weight_decay=decoupled", "--level", "0", "--only", "S3.decay"]
    Path("known.txt").write_text("S3.decay/lr_wd/float64  # coupled on purpose\n")
    assert lk("conform", "mine.py:bad", *mapped, "--known", "known.txt").exit_code == 0
    done = lk("conform", "mine.py:good", "--level", "0", "--only", "S3.decay", "--known", "known.txt")
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["conform"], "name one port"),
        (["conform", "mine"], "module:attribute"),
        (["conform", "no_such_module:f"], "cannot be imported"),
        (["conform", "nothing.py:f"], "there is no file nothing.py"),
        (["conform", "mine.py:f"], "has no attribute 'f'"),
        (["conform", "mine.py:np"], "is no port"),
        (["conform", "mine.py:good", "--level", "4"], "choose 0, 1, 2 or 3"),
        (["conform", "mine.py:good", "--dtype", "float8"], "the port takes float64, float32"),
        (["conform", "mine.py:good", "--k", "l7"], "l7"),
        (["conform", "mine.py:good", "--map", "lr"], "NAME=VALUE"),
        (["conform", "mine.py:good", "--known", "absent.txt"], "absent.txt"),
        (["conform", "mine.py:good", "--replay", "S9.x"], "S9.x is no test"),
        (["conform", "--results", "."], "the program must write it"),
        (["conform", "--command", "./absent"], "absent"),
    ],
)
def test_cli_bad_input(here, words, says):
    done = lk(*words)
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.output.split())
    assert len(done.output.strip().splitlines()) == 1


# -- the pytest plugin ---------------------------------------------------------------------------------------------


def _pytest(folder, *words):
    unused = [w for name in ("cacheprovider", "hypothesispytest", "xdist", "timeout") for w in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *unused, "-q", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_plugin(here):
    marks = "lionk_float32 and not lionk_L1 and not lionk_groups"
    good = _pytest(here, "--lionk-port", "mine.py:good", "-k", "S3 or S7", "-m", marks)
    assert good.returncode == 0, good.stdout
    assert "passed" in good.stdout
    mapped = ["--lionk-map", "lr=rate", "--lionk-map", "weight_decay=decoupled"]
    bad = _pytest(here, "--lionk-port", "mine.py:bad", *mapped, "-k", "S3.decay/lr_wd/float64")
    assert bad.returncode == 1
    assert "lionk::S3.decay/lr_wd/float64" in bad.stdout
    assert "Decay acts on x from before the step" in bad.stdout
    Path("known.txt").write_text("S3.decay/lr_wd/float64\n")
    known = ["--lionk-known", "known.txt", "-k", "S3.decay/lr_wd/float64"]
    Path("skip.txt").write_text("S3.decay/lr  # another convention\n")
    skip = ["--lionk-skip", "skip.txt", "-k", "S3.decay/lr_wd/float64", "-rs"]
    assert "another convention" in _pytest(here, "--lionk-port", "mine.py:bad", *mapped, *skip).stdout
    assert "1 xfailed" in _pytest(here, "--lionk-port", "mine.py:bad", *mapped, *known).stdout
    assert _pytest(here, "--lionk-port", "mine.py:absent").returncode == 4


# -- other languages ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lion_in_c(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    made = tmp_path_factory.mktemp("c") / "lion"
    source = ROOT / "docs" / "examples" / "port_in_c" / "lion.c"
    subprocess.run([compiler, "-O2", "-std=c99", "-Wall", "-Werror", source, "-o", made, "-lm"], check=True)
    return made


def test_a_program_in_c_passes(lion_in_c, here):
    done = lk("conform", "--command", str(lion_in_c))
    assert done.exit_code == 0, done.output
    done = lk("conform", "--vectors", "v")
    assert done.exit_code == 0, done.output
    with open("v/cases.jsonl") as asked, open("v/results.jsonl", "w") as answers:
        subprocess.run([lion_in_c], stdin=asked, stdout=answers, check=True)
    done = lk("conform", "--results", "v")
    assert done.exit_code == 0, done.output


def test_the_golden_vectors_judge_a_program_without_python(lion_in_c, tmp_path):
    """The checker in C passes the port in C, and fails one whose answers are changed."""
    source = ROOT / "docs" / "examples" / "port_in_c" / "check.c"
    check_in_c = tmp_path / "check"
    compiler = shutil.which("cc") or shutil.which("gcc")
    subprocess.run([compiler, "-O2", "-std=c99", "-Wall", "-Werror", source, "-o", check_in_c, "-lm"], check=True)
    unpack("l1", tmp_path / "v")
    asked, right = tmp_path / "v" / "cases.jsonl", tmp_path / "v" / "expected.jsonl"
    answers = subprocess.run([lion_in_c], input=asked.read_text(), capture_output=True, text=True, check=True).stdout
    for text, code, says in (
        (answers, 0, "PASS"),
        (answers.replace('"-0x', '"0x'), 1, "entries are wrong"),
        (answers[:1000], 2, ""),
    ):
        (tmp_path / "r").write_text(text)
        done = subprocess.run([check_in_c, asked, right, tmp_path / "r"], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout
        assert says in done.stdout


def test_a_program_in_perl_says_what_it_takes():
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("no Perl on this machine")
    program = Program([perl, str(ROOT / "docs" / "examples" / "port_in_perl" / "lion.pl")])
    assert (program.name, program.capabilities.dtypes) == ("lion.pl", ("float64",))
    validate(program.about, schema("handshake"))
    report = program.check()
    assert report.passed, failures(report)
    assert report.held == 3


def test_a_program_may_leave_a_case_out():
    code = (
        "import sys, json\nfor line in sys.stdin: print(json.dumps({'id': json.loads(line)['id'], 'skip': 'not yet'}))"
    )
    report = Program([sys.executable, "-c", code]).check(level=0)
    assert {r.verdict for r in report.results} == {"skip"}
    assert "the program leaves it out: not yet" in report.results[0].text
    assert not report.passed


def test_the_schemas_hold(tmp_path):
    export(tmp_path, claims_of_program(dtypes=("float64",)), level=1)
    validate(json.loads((tmp_path / "manifest.json").read_text()), schema("manifest"))
    for name, file in (("case", "cases"), ("expected", "expected")):
        for row in (tmp_path / f"{file}.jsonl").read_text().splitlines():
            validate(json.loads(row), schema(name))
            if name == "expected":
                validate(json.loads(row), schema("result"))
    for port in (step, coupled):
        report = check(port, level=2)
        validate(json.loads(json.dumps(plain(report.to_json()), allow_nan=False)), schema("report"))
    for name in NAMES:
        Draft202012Validator.check_schema(schema(name))
    with pytest.raises(KeyError, match="no schema"):
        schema("other")
    with pytest.raises(ValidationError):
        validate({"id": "a"}, schema("result"))


def test_a_wrong_program_in_c_is_named(lion_in_c, here):
    source = (ROOT / "docs" / "examples" / "port_in_c" / "lion.c").read_text()
    wrong = source.replace("T c = b1 * m[i] + (1 - b1) * g[i];", "T c = b2 * m[i] + (1 - b2) * g[i];")
    assert wrong != source
    Path("wrong.c").write_text(wrong)
    subprocess.run([shutil.which("cc") or "gcc", "-std=c99", "wrong.c", "-o", "wrong", "-lm"], check=True)
    report = Program([str(here / "wrong")]).check(level=0)
    assert report.diagnosis[0][0] == "state_as_readout"


def test_programs_that_fail():
    with pytest.raises(RuntimeError, match="ended with 3: no way"):
        Program([sys.executable, "-c", "import sys; sys.stderr.write('no way'); sys.exit(3)"]).check()
    with pytest.raises(ValueError, match="line 1 is no result"):
        Program([sys.executable, "-c", "print('hello')"]).check()
    report = Program([sys.executable, "-c", "pass"]).check(level=0)
    assert {r.text for r in report.failures} == {"no result was written for this case"}


def test_vectors(tmp_path):
    import hashlib

    claims = claims_of_program()
    count = export(tmp_path, claims)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert len(manifest["cases"]) == count
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert sum(p.stat().st_size for p in tmp_path.rglob("*")) < 8e6
    known = {c.id: c for c in cases(claims)}
    for entry in manifest["cases"]:
        case = known[entry["id"]]
        np.testing.assert_array_equal(np.load(tmp_path / f"arrays/{entry['arrays']}_x0.npy"), case.array(case.x0))
    # What the reference itself makes of them is right.
    expected = (tmp_path / "expected.jsonl").read_text().splitlines()
    report = judge_results(expected, claims, name="expected")
    assert report.passed, failures(report)
    for row in map(json.loads, expected):
        assert len(row["x"]) == known[row["id"]].steps
        assert len(row["readout"]) == len(row["steps"]) > 0


def test_results_that_lack_something(tmp_path):
    claims = claims_of_program(dtypes=("float64",))
    case = next(iter(cases(claims)))
    xs = [[float(v).hex() for v in x.reshape(-1)] for x in run(Loopback(), case).xs]
    right, short = {"id": case.id, "x": xs}, {"id": case.id, "x": xs[:-1]}
    assert case.id not in [r.id for r in judge_results([json.dumps(right)], claims, name="p", level=0).failures]
    report = judge_results([json.dumps(short)], claims, name="p", level=0)
    assert "steps were written" in next(r.text for r in report.failures if r.id == case.id)
