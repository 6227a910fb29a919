"""What users pay for, each thing once, by subject and case: what is counted, timed and compared between commits.

Only the public names of lionk are used, so that a scene can be played on other commits too.
"""

from __future__ import annotations

import atexit
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lionk

Put = Callable[[Any], Any]  # a NumPy array as one of the library under test


class Scene(NamedTuple):
    """``make(put)`` gives a function without arguments; of a ``rate``, one of a number of iterates.

    ``generic``: does it run on the arrays of any library? ``rate``: two numbers of iterates, of which the difference
    counts.
    """

    subject: str
    case: str
    make: Callable[[Put], Callable[..., Any]]
    generic: bool = False
    rate: tuple[int, int] | None = None


SHAPES = {
    "scalar": (6,), "vector": (6,), "matrix": (4, 3), "square": (3, 3), "symmetric": (3, 3), "kernel": (3, 2, 2),
    "rule": (6,),
}  # fmt: skip
EVALUATED = ("value", "subgradient", "conjugate", "prox", "project")  # of every K
# One function of each structure.
FUNCTIONS = ("l1", "huber", "l2", "linf", "top_k", "owl", "row_l1_l2", "nuclear", "half_square", "log_sum_exp")


def shape_of(K: str) -> tuple[int, ...]:
    """A small shape that this function takes; less than eight entries are summed in one order on every machine."""
    return (3, 4) if "group" in K else SHAPES[lionk.functions.entry(K).kind]


def array(shape: tuple[int, ...], seed: int, scale: float = 1.0, dtype: str = "float64") -> Any:
    """Numbers without ties, the same for each library."""
    x = scale * np.random.default_rng(seed).standard_normal(shape)
    return (x + x.T).astype(dtype) if len(shape) == 2 and shape[0] == shape[1] else x.astype(dtype)


def scenes() -> Iterator[Scene]:
    """All of them, but for those of a library."""
    yield from _functions()
    yield from _steps()
    yield from _runs()
    yield from _files()


def _functions() -> Iterator[Scene]:
    made: dict[str, Any] = {name: name for name in ("l1", "top_k", "nuclear", "row_l1_l2", "birkhoff")}
    made["spec"] = lionk.K("nuclear").spec
    made["sum of three"] = RULES["l1 + l2 + linf"]
    for case, spec in made.items():
        yield Scene("K made", case, partial(_made, spec))
    for K in lionk.names():
        for subject in EVALUATED:
            yield Scene(subject, K, partial(_evaluation, subject, K), generic=subject != "prox")
    for case, spec in RULES.items():
        for subject in ("bounds", *EVALUATED):
            yield Scene(subject, case, partial(_evaluation, subject, spec))


# One K of each rule, and sums without a closed conjugate, whose iterations have arithmetic that is the same everywhere.
RULES: dict[str, dict[str, Any]] = {
    "softsign + l2": {"name": "add", "K1": "softsign", "K2": "l2"},
    "huber + top_k": {"name": "add", "K1": "huber", "K2": {"name": "top_k", "k": 2}},
    "l1 + l2 + linf": {"name": "add", "K1": {"name": "add", "K1": "l1", "K2": "l2"}, "K2": "linf"},
    "maximum of l2 and linf": {"name": "maximum", "K1": "l2", "K2": "linf"},
    "infimal convolution of l2 and l1": {"name": "infimal_convolution", "K1": "l2", "K2": "l1"},
    "envelope of owl": {"name": "moreau_envelope", "K": "owl", "mu": 0.5},
    "ridge of linf": {"name": "ridge", "K": "linf", "mu": 0.5},
    "dilated top_k": {"name": "dilate", "K": {"name": "top_k", "k": 2}, "a": 3.0},
    "positive part of l2": {"name": "positive_part", "k": "l2"},
    "centered huber": {"name": "centered", "k": "huber"},
    "two blocks of l2": {"name": "block_lift", "k": "l2", "axis": 0, "sections": 2},
    "half square of l1": {"name": "radial_lift", "phi": "half_square", "norm": "l1"},
}


def _made(spec: Any, _: Put) -> Callable[[], Any]:
    return partial(lionk.K, spec)


def _evaluation(subject: str, spec: Any, put: Put) -> Callable[[], Any]:
    """On numbers of which some are in dom K* and some are not."""
    K = lionk.K(spec)
    x = put(array(shape_of(spec) if isinstance(spec, str) else (6,), 1, 2.0))
    dual = K.conjugate
    calls: dict[str, Callable[[], Any]] = {
        "bounds": partial(dual.bounds, x),
        "value": partial(K.value, x),
        "subgradient": partial(K.subgradient, x),
        "conjugate": partial(dual.value, x),
        "prox": partial(K.prox, x, 0.7),
        "project": lambda: dual.domain.project(x),
    }
    return calls[subject]


def _steps() -> Iterator[Scene]:
    for K in FUNCTIONS:
        yield Scene("step", K, partial(_step, K), generic=True)
        yield Scene("kkt_gap", K, partial(_gap, K), generic=True)
    for case, spec in STACKS.items():
        yield Scene("step", case, partial(_step, spec, shape=(5, 6, 3)), generic=True)
    for name, options in VARIANTS.items():
        yield Scene("variant", name, partial(_variant, options), generic=True)


# Many matrices in one array: a loop of Python over them shows here.
STACKS = {"nuclear, stack of 5": "nuclear", "muon, 5 of 2 heads": {"name": "muon", "sections": 2}}

VARIANTS: dict[str, dict[str, Any]] = {
    "cautious": {"cautious": "mask"},
    "cautious, rescaled": {"cautious": "rescale"},
    "cautious decay": {"cautious_decay": True},
    "maximize": {"maximize": True},
    "coupled": {"coupled": True},
}


def _arrays(put: Put, shape: tuple[int, ...]) -> tuple[Any, Any]:
    return put(array(shape, 1, 0.3)), put(array(shape, 2))


def _step(K: Any, put: Put, shape: tuple[int, ...] | None = None) -> Callable[[], Any]:
    opt = lionk.LionK(K, lr=1e-3, weight_decay=0.1)
    x, grad = _arrays(put, shape or shape_of(K))
    return partial(opt.step, x, grad, opt.init(x))


def _gap(K: str, put: Put) -> Callable[[], Any]:
    x, grad = _arrays(put, shape_of(K))
    f = lionk.K(K)
    return lambda: lionk.kkt_gap(f, x, grad, 0.1)


def _variant(options: dict[str, Any], put: Put) -> Callable[[], Any]:
    opt = lionk.variants.Variant("l1", 1e-3, weight_decay=0.1, **options)
    x, grad = _arrays(put, (6,))
    m = put(np.zeros(6))
    return lambda: opt.update(x, m, grad, 1e-3, 0.1)


def _bent(r: Any) -> tuple[Any, Any]:
    root = (1 + r * r) ** 0.5
    return root - 1, r / root


# A convex function of a number, with its derivative; their arithmetic is the same on every machine.
PROBLEMS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "quadratic": lambda r: (r * r / 2, r),
    "bent": _bent,
    "kinked": lambda r: (abs(r), r.__array_namespace__().sign(r)),
}


class Problem:
    """The weighted sum of such a function over the entries of ``x - target``, and how often it was evaluated."""

    def __init__(self, shape: tuple[int, ...], name: str, put: Put) -> None:
        n, of = math.prod(shape), PROBLEMS[name]
        target = put(array(shape, 3, 2.0))
        weights = put((1.0 + 3.0 * np.arange(n) / n).reshape(shape))
        self.shape, self.count = shape, 0

        def fun(x: Any) -> tuple[Any, Any]:
            self.count += 1
            f, g = of(x - target)
            f = weights * f
            return float(f.__array_namespace__().sum(f)), weights * g

        self.fun = fun


def _runs() -> Iterator[Scene]:
    runs: dict[str, Callable[[Put], Callable[..., Any]]] = {}
    for K in ("l1", "linf", "l2", "nuclear", "half_square"):
        wide = {"weight_decay": 0.25} if K in ("l2", "nuclear") else {}  # else they are done in less than 30
        runs[K] = partial(_iterates, K, wide)
    runs["l1, no certificate"] = partial(_iterates, "l1", {"certify": False})
    runs["l1, fixed lr"] = partial(_iterates, "l1", {"lr": 1e-2})
    runs["l1, batch of 5"] = _batch
    runs["half_square, kinked f"] = partial(_iterates, "half_square", {}, f="kinked")
    for case, make in runs.items():
        yield Scene("iterate of minimize", case, make, rate=(20, 30))
    yield Scene("start of minimize", "l1", lambda put: partial(_iterates("l1", {}, put), 0))
    yield Scene("certificate", "l1", _certificate)
    yield Scene("account of a run", "l1", _account, generic=True)


def _iterates(K: str, options: dict[str, Any], put: Put, f: str = "bent") -> Callable[[int], Any]:
    problem = Problem(shape_of(K), f, put)
    x0 = put(np.zeros(problem.shape))
    given: dict[str, Any] = {"K": K, "weight_decay": 1.0, "jac": True, "convex": True, "tol": 0.0} | options
    return lambda n: quiet(partial(lionk.minimize, problem.fun, x0, maxiter=n, **given))


def _batch(put: Put) -> Callable[[int], Any]:
    """Five bent problems at once."""
    target, weights = put(array((5, 6), 3, 2.0)), put((1.0 + np.arange(30) / 10).reshape(5, 6))

    def fun(x: Any) -> tuple[Any, Any]:
        r = x - target
        root = (1 + r * r) ** 0.5
        return root.__array_namespace__().sum(weights * (root - 1), axis=1), weights * r / root

    given: dict[str, Any] = {"K": "l1", "weight_decay": 1.0, "batch": 1, "jac": True, "convex": True, "tol": 0.0}
    return lambda n: quiet(partial(lionk.minimize, fun, put(np.zeros((5, 6))), maxiter=n, **given))


def _account(put: Put) -> Callable[[], Any]:
    """The momentum certificate of a run that somebody else makes, at its first point."""
    opt = lionk.LionK("l1", lr=1e-3, weight_decay=0.1)
    x, grad = _arrays(put, (6,))
    m = opt.init(x).m
    return lambda: lionk.theory.Account().observe(opt, 1.0, x, grad, m, 0, convex=True)


def _certificate(put: Put) -> Callable[[], Any]:
    found = _iterates("l1", {}, put)(10)
    return lambda: (found.certificate, str(found))


def quiet(thunk: Callable[[], Any]) -> Any:
    """Call without warnings, such as that a run has not converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return thunk()


def evaluations() -> Iterator[tuple[str, Callable[[], int]]]:
    """How often minimize evaluates f until it is done, by problem and K."""
    for problem in PROBLEMS:
        for K in ("l1", "linf", "l2", "huber", "half_square", "top_k", "owl", "row_l1_l2", "nuclear"):
            yield f"{problem}, {K}", partial(_evaluations, problem, K)


def _evaluations(problem: str, K: str) -> int:
    f = Problem(shape_of(K), problem, np.asarray)
    x0 = np.zeros(f.shape)
    quiet(lambda: lionk.minimize(f.fun, x0, K=K, weight_decay=1.0, jac=True, convex=True, tol=1e-4, maxiter=3000))
    return f.count


def _files() -> Iterator[Scene]:
    yield Scene("checkpoint", "written", partial(_checkpoint, False))
    yield Scene("checkpoint", "resumed", partial(_checkpoint, True))


@cache
def folder() -> Path:
    """A folder of this process, which is removed at its end."""
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    return Path(made.name)


def _checkpoint(resume: bool, put: Put) -> Callable[[], Any]:
    path = folder() / ("resumed" if resume else "written")
    run = _iterates("l1", {"checkpoint": path, "resume": resume}, put)

    def write() -> Any:
        path.unlink(missing_ok=True)
        return run(5)

    if resume:
        _iterates("l1", {"checkpoint": path}, put)(5)
    return partial(run, 5) if resume else write
