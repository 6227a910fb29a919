"""Runs with a given lr whose iterates go ahead: they end, are saved and are accounted for as if each were looked at."""

from __future__ import annotations

import numpy as np
import pytest

import lionk

X0 = 0.02 * np.random.default_rng(1).standard_normal((4, 3))
SUPPORTS = ["l1", "l2", "linf", "nuclear", "top_k", lionk.K("l1") + lionk.K("l2"), lionk.K("l1").scale(2.0)]


class Counted:
    """Least squares with a minimum > 0, which counts its evaluations; ``fails`` is called with their number."""

    def __init__(self, fails=lambda n: None):
        rng = np.random.default_rng(0)
        self.A, self.b = rng.standard_normal((20, 12)), rng.standard_normal(20)
        self.fails, self.calls = fails, 0

    def __call__(self, x):
        self.calls += 1
        r = self.A @ x.reshape(-1) - self.b
        f = 0.5 * float(r @ r)
        return self.fails(self.calls) or f, (self.A.T @ r).reshape(x.shape)


def run(fun, **more):
    return lionk.minimize(fun, X0, **{"K": "l1", "weight_decay": 2.0, "lr": 2e-3, "jac": True, "maxiter": 600} | more)


def same(a, b, unlike=("lyapunov",)):
    for name, u, v in zip(a.history._fields, a.history, b.history, strict=True):
        if name in unlike:
            np.testing.assert_allclose(u, v, rtol=1e-12)
        else:
            np.testing.assert_array_equal(u, v, err_msg=name)
    assert (a.nit, a.message, a.success) == (b.nit, b.message, b.success)
    for u, v in ((a.x, b.x), (a.last_x, b.last_x), (a.state.m, b.state.m)):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("K", SUPPORTS, ids=str)
@pytest.mark.parametrize("start", [1.0, 50.0], ids=["inside", "outside"])
def test_a_run_ends_where_one_ends_that_is_watched(K, start):
    def fun(x):
        return counted(x)

    ends = []
    for more in ({}, {"callback": lambda info: False}):
        counted = Counted()
        ends.append(lionk.minimize(
            fun, start * X0, K=K, weight_decay=2.0, lr=2e-3, jac=True, maxiter=600, tol=0.3, **more
        ))  # fmt: skip
        again = ends[-1].x is not ends[-1].last_x  # f is asked for once more where x is another point than the last
        assert counted.calls <= ends[-1].nit + 1 + again
    rounded = ("gap", "momentum_gap", "distance", "lyapunov")  # where the sum over a stack may round otherwise
    same(*ends, unlike=rounded if not isinstance(K, str) else ("lyapunov",))
    assert ends[0].success or start > 1


def test_an_error_ahead_is_saved_where_it_came(tmp_path):
    def stop(n):
        if n == 100:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt) as e:
        run(Counted(stop), checkpoint=path, tol=0.0)
    assert e.value.__notes__ == [f"{path} holds the run; resume=True continues it"]
    rest = Counted()
    again = run(rest, checkpoint=path, resume=True, tol=0.0)
    assert rest.calls in (600 - 98 + 1, 600 - 98 + 2)  # from iterate 98 on, and once more at the best point
    same(again, run(Counted(), tol=0.0))


def test_what_is_not_finite_ahead_ends_the_run_at_the_iterate_before():
    with pytest.raises(lionk.NonFiniteError, match=r"step 99: f is nan\. .* that of step 98") as e:
        run(Counted(lambda n: float("nan") if n == 100 else None), tol=0.0)
    r = e.value.result
    assert r.nit == 98 and len(r.history.f) == 99 and np.isfinite(r.history.lyapunov).all()
    np.testing.assert_array_equal(r.last_x, run(Counted(), tol=0.0, maxiter=98).last_x)


def test_batches_that_end_end_the_run():
    def fun(x, noise):
        f, g = counted(x)
        return f, g + noise

    counted = Counted()
    r = run(fun, batches=[0.01 * n for n in range(150)], maxiter=1000)
    assert r.nit == 150 and counted.calls == 150 and r.message == "the batches are used up"
    assert len(r.history.gap) == 150 and np.isfinite(r.history.gap).all()
