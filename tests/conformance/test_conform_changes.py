"""One array of a step is changed in plain code, and the report says which one, and how."""

import numpy as np
import pytest
import torch

from beyond_a_step import EVERY
from beyond_a_step.changes import ROWS
from lionk.conformance import RULES, check
from lionk.conformance.specification.families import cases
from lionk.conformance.specification.port import Capabilities


class Port:
    """Lion, each array of which may be changed by a method of its name."""

    def __init__(self, x, lr, betas, weight_decay):
        self.x, self.m, self.lr, self.betas, self.wd, self.t = x.copy(), np.zeros_like(x), lr, betas, weight_decay, 0

    def step(self, grad):
        b1, b2 = self.betas
        g = self.gradient(grad)
        r = self.readout(b1 * self.read(self.m) + (1 - b1) * g)
        step = self.whole(self.direction(np.sign(r)) + self.wd * self.decayed(self.x))
        self.x = self.new(self.x - self.lr * step).astype(grad.dtype)
        self.m = self.kept(b2 * self.m + (1 - b2) * self.gathered(g)).astype(grad.dtype)
        self.t += 1

    def same(self, a):
        return a

    gradient = readout = direction = whole = decayed = new = read = kept = gathered = same


def port(**methods):
    return type("Other", (Port,), methods)


def spiked(self, g):
    """Entries beyond twice the median of the sizes are cut to it."""
    level = 2 * np.median(np.abs(g)) if g.size else 0.0
    return np.clip(g, -level, level)


ramped = property(lambda s: (s.own[0], min(s.own[1], (s.t + 1) / (s.t + 10))), lambda s, own: setattr(s, "own", own))


def held_every_third(self, g):
    if self.t % 3 == 0:
        self.old = g
    return self.old


def turned_where_x_falls(self, u):
    return np.where(u * self.x <= 0, u, 0.0)


def damped(self, u):
    return u * 0.9**self.t


def circular(self, g):
    return (np.roll(g, 1, -1) + g + np.roll(g, -1, -1)) / 3 if g.ndim and g.shape[-1] > 2 else g


def halved_towards_the_last(self, u):
    before = getattr(self, "before", np.zeros_like(u))
    self.before = u
    return (u + before) / 2


def hold(self, r):
    self.held = np.tanh(r)
    return r


def by_columns(self, g):
    return g - g.mean(axis=-2, keepdims=True) if g.ndim > 1 and g.size else g


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"gradient": lambda s, g: np.arctan(g)}, "the gradient, before it is averaged, is replaced by its arctan"),
        ({"gradient": spiked}, "has its entries cut to 2 times its median size"),
        ({"gradient": lambda s, g: np.clip(g, -0.37, 0.37)}, "before it is averaged, is cut to [-0.37, 0.37], entry"),
        ({"gathered": lambda s, g: 1024 * g}, "or in the momentum alone by 1024: a scale is left in one of them"),
        ({"betas": ramped}, "b2 rises as min(it, (t + 1)/(t + 10))"),
        ({"gradient": circular}, "is smoothed over neighbours, by (1, 1, 1)/3 (the ends are neighbours)"),
        ({"gradient": held_every_third}, "the gradient, before it is averaged, is taken anew only at each 3th step"),
        ({"gradient": lambda s, g: g + 0.5 * s.wd * s.lr * 2 * s.x}, "has lr wd x added"),
        ({"read": lambda s, m: np.round(m * 100) / 100}, "the momentum, where it is read, is rounded to multiples of"),
        ({"kept": lambda s, m: m - 0.01 * np.clip(m / 0.01, -1, 1)}, "after each step, is shrunk towards 0 by 0.01"),
        ({"gathered": lambda s, g: np.minimum(np.maximum(g, -0.1), 0.1)}, "the momentum alone, is cut to [-0.1, 0.1]"),
        ({"readout": lambda s, r: np.where(np.abs(r) >= 0.2 * np.abs(r).max(initial=0), r, 0)},
         "has entries below 0.2 of its largest entry taken for 0"),
        ({"direction": turned_where_x_falls}, "the direction is kept only where it has not the sign of x"),
        ({"direction": damped}, "the direction is multiplied by 0.9 at each step anew"),
        ({"direction": halved_towards_the_last}, "the direction is half of it and half of that of the step before"),
        ({"direction": lambda s, u: 2 * (u - u.mean()) if u.size else u}, "but for a factor, has its mean taken off"),
        ({"direction": lambda s, u: s.held, "readout": hold}, "is the readout, which is replaced by its tanh"),
        ({"whole": lambda s, v: v * (1 - s.betas[0])}, "the step u - wd x is multiplied by 1 - b1"),
        ({"decayed": lambda s, x: x - np.median(x) if x.size else x}, "the decay takes off, has its median taken off"),
        ({"new": lambda s, x: np.round(x * 100) / 100}, "the new x is rounded to multiples of 0.01"),
    ],
)  # fmt: skip
def test_what_is_done_to_which_array_is_said(methods, words):
    report = check(port(**methods), dtypes=("float64",), level=0)
    assert not report.passed
    assert words in report.measured[0], report.measured


def clipped(self, g):
    return g / max(1.0, np.sqrt((g * g).sum()))


def eighths(self, m):
    unit = np.abs(m).max(initial=0) / 127 or 1.0
    return np.round(m / unit) * unit


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"gradient": clipped, "decayed": lambda s, x: np.sign(x)},
         ("the gradient, before it is averaged, is clipped to length 1", "decay takes off, is replaced by its sign")),
        ({"gradient": lambda s, g: g - g.mean() if g.size else g, "kept": eighths},
         ("the gradient, before it is averaged, has its mean taken off", "is rounded to 1/127 of its largest entry")),
        ({"direction": lambda s, u: u / (1 + np.sqrt(np.mean(s.m**2))) if u.size else u, "decayed": lambda s, x: x**3},
         ("the direction is divided by 1 plus the root mean square of the momentum", "raised to the power 3")),
    ],
)  # fmt: skip
def test_two_changes_are_both_said(methods, words):
    report = check(port(**methods), dtypes=("float64",), level=1)
    assert not report.passed
    assert all(w in report.measured[0] for w in words), report.measured


def test_an_iterate_that_is_kept_apart_is_said():
    class Averaged(Port):
        def step(self, grad):
            self.x = getattr(self, "apart", self.x)
            super().step(grad)
            self.apart, self.sum = self.x, getattr(self, "sum", 0) + self.x
            self.x = self.sum / self.t

    report = check(Averaged, dtypes=("float64",), level=1)
    assert "while the iterate goes on from itself, is the mean of all until then" in report.measured[0]


def test_a_class_that_takes_a_schedule_is_asked_for_it():
    class Late(Port):
        """Its decay has the rate of the step before."""

        def step(self, grad):
            lr, self.lr = self.lr, self.lr(self.t) if callable(self.lr) else self.lr
            self.wd, wd = self.wd * getattr(self, "before", self.lr) / self.lr, self.wd
            super().step(grad)
            self.before, self.lr, self.wd = self.lr, lr, wd

    report = check(Late, dtypes=("float64",), level=1)
    assert {r.rule.id for r in report.failures} & {"S5.schedule", "S5.rate"}, report.summary()


def test_a_decay_that_goes_elsewhere_is_said():
    class Coupled(Port):
        def step(self, grad):
            wd, self.wd = self.wd, 0.0
            super().step(grad + wd * np.sign(self.x))
            self.wd = wd

    report = check(Coupled, dtypes=("float64",), level=0)
    assert report.measured[0].startswith(
        "x does not decay, and the gradient, before it is averaged, has wd sign(x) added"
    )


def test_what_arrays_of_more_axes_alone_show_is_said_of_them():
    """From level 1 on there are such arrays."""
    report = check(port(gradient=by_columns), dtypes=("float64",), level=1)
    assert "before it is averaged, has its mean taken off, column by column" in report.measured[0], report.measured

    def of_devices(self, g):
        return np.broadcast_to(g.mean(0, keepdims=True), g.shape) if g.ndim > 2 and g.size else g

    report = check(port(gradient=of_devices), dtypes=("float64",), level=1)
    assert "before it is averaged, is replaced by its mean, over the first axis" in report.measured[0], report.measured

    def of_rows(self, g):
        return g / np.abs(g).max(axis=-1, keepdims=True) if g.ndim == 2 and g.size and g.all() else g

    report = check(port(gradient=of_rows), dtypes=("float64",), level=1)
    assert "is divided by its largest entry, row by row" in report.measured[0], report.measured
    assert report.where


#: Other words for the same step.
SAME = {
    "sparse_direction": "the direction is left out, only where the gradient is 0",
    "larger_half": "the readout has entries below 1 of the median of its sizes taken for 0",
    "fixed_b1": "the readout is 0.9 m + 0.1 g",
    "fixed_b2": "the state is 0.99 m + 0.01 g",
    "lazy_decay": "the decay is left out, only where the gradient is 0",
    "scaled_sign": "the direction is the readout, which is replaced by its sign times the mean of its sizes",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_every_change_is_named(name):
    report = check(EVERY[name], dtypes=("float64",), level=0)
    assert not report.passed
    assert report.measured[0] == SAME.get(name, EVERY[name].says), report.measured


def test_a_class_without_a_schedule_is_told_what_it_is_not_asked():
    report = check(Port, dtypes=("float64",))
    assert report.passed
    left = {r.rule.id for r in report.results if r.verdict == "skip" and "does not claim: schedule" in r.text}
    claims = Capabilities(dtypes=("float64",))
    with_one = {c.id.partition("/")[0] for c in cases(Capabilities(dtypes=("float64",), schedule=True))}
    without = {c.id.partition("/")[0] for c in cases(claims)}
    assert left == with_one - without - {"S3.zero_rate"} and left <= set(RULES)


class SharedMuon(torch.optim.Muon):
    """Parameters of one shape share one momentum."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                first = next(q for q in group["params"] if q.shape == p.shape)
                held = self.state[first].setdefault("momentum_buffer", torch.zeros_like(first))
                self.state[p]["momentum_buffer"] = held
        return super().step(closure)


def test_a_momentum_that_is_shared_is_told_within_the_error_that_is_declared():
    report = check(SharedMuon, dialect="muon-muon", only="S7.parameters")
    assert "parameter 0 shares one momentum with the others" in report.hint, report.hint
