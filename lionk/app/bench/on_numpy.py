"""Counts of the steps of NumPy: memory beside the arguments, compiled loops, and what the records say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from inspect import signature
from itertools import compress
from typing import Any

import numpy as np

import lionk

from . import counting
from .steps import LARGE, WHEN, Count, Stepped, ready, runners

RECORDED = ("l1", "huber", "pseudo_huber", "softsign", "log_cosh", "l2", "log_sum_exp", "top_k", "row_l1_l2")


def numpy() -> Iterator[Count]:
    """First steps, steps, memory beside the arguments, and what the records say."""
    yield from runners("numpy", "tiles", "numba")
    for name in ("tiles", "numba", "reference"):
        for K in ("l1", "l2", "top_k"):
            case = f"numpy:{name}, {K}"
            yield Count("memory", case, "bytes per entry", partial(_peak, name, K), "numpy")
    for K in ("l1", "l2", "row_l1_l2"):
        yield Count("first step", K, "calls", partial(_first, K), "python")
    for when in WHEN:
        yield Count("compiled by numba", when, "compilations", partial(_loops, when), "numba")
    for K in RECORDED:
        for unit in ("passes", "calls", "buffers", "bytes per entry", "loop lines"):
            yield Count("record", K, unit, partial(_recorded, K, unit))


def _peak(name: str, K: str) -> float:
    step = Stepped("numpy", name, [LARGE], {"name": "top_k", "k": LARGE // 100} if K == "top_k" else K)
    for _ in range(2):
        step()
    return round(counting.peak(step) / LARGE, 2)


def _first(K: str) -> float:
    Stepped("numpy", "tiles", [8])()  # what is loaded once
    backend, opt = lionk.backends()["numpy"], lionk.LionK(K, 1e-3, weight_decay=0.1)
    x, m, grad = (np.ones((8, 8)) for _ in range(3))
    return counting.work(lambda: backend.runner(opt, "tiles")(x, m, grad)).calls


def _loops(when: str) -> float:
    from numba.core import event

    run = ready(partial(Stepped, "numpy", "numba", [LARGE], "huber"), when)
    with event.install_recorder("numba:compile") as recorder:
        run()
    return sum(e.is_start for _, e in recorder.buffer)


def _module(*names: str) -> Any:
    """The first of these modules that is there: their names have changed."""
    for name in names[:-1]:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(names[-1])


def _recorded(K: str, unit: str) -> float:
    """One number of the record of a step on 32 x 32, such as its passes over memory or its calls of NumPy on a tile."""
    import array_api_compat.numpy as xp

    record = _module("lionk.recording.record", "lionk.trace")
    emit = _module("lionk.recording.emit", "lionk.replay")
    text, compiled = (_module(f"lionk_numpy.runner.{m}", f"lionk_numpy._{m}") for m in ("text", "compiled"))
    opt = lionk.LionK(K, 1e-3, weight_decay=0.1)
    make = record.step_program
    given = {"guesses": True} if "guesses" in signature(make).parameters else {}  # not in an earlier lionk
    program = make(opt, opt.K, xp, (np.dtype("float32"),) * 3, (32, 32), **given)
    wanted = [[program.nodes[i] for i in p.targets] for p in program.passes()]
    # a pass for sums that another one has made beside is not counted
    there = [not all(n.op == "sum" and len(n.args) > 1 for n in some) for some in wanted]
    passes = list(compress(program.passes(), there))
    if unit == "passes":
        return len(passes)
    if unit == "loop lines":
        return sum(len(compiled.Loops(program, p)._lines) for p in passes)
    if unit == "bytes per entry":
        n = program.nodes
        read = [
            {a for i in (*p.body, *p.targets) for a in n[i].args if n[a].op == "input" and n[a].array} for p in passes
        ]
        return 4 * (sum(map(len, read)) + len(program.outputs))
    texts = [emit.buffered(program, p, text.CALLS, text.APART) for p in passes]
    return sum(len(t.lines) + len(t.results) if unit == "calls" else len(t.buffers) for t in texts)
