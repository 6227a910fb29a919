"""``minimize`` on Dask arrays with a scheduler and two worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from itertools import product

import dask
import dask.array as da
import distributed
import numpy as np
import pytest

import lionk

pytestmark = pytest.mark.slow  # in the default run, test_solve_scheduler.py has a run on a cluster

LIMIT = "240MB"  # of a worker, whose libraries take half of it


@pytest.fixture(scope="module")
def client():
    quiet = {"dashboard_address": ":0", "worker_dashboard_address": None, "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, memory_limit=LIMIT, **quiet) as c,
        distributed.Client(c) as client,
    ):
        yield client


def target(n, chunks):
    return da.cos(da.arange(n, chunks=chunks) / 7.0)


def quadratic(t):
    def fun(x):
        r = x - t
        return (r * r).sum() / 2, r

    return fun


def run(K, t, x0, steps=6, **options):
    options = {"rule": "plateau", "tol": 1e-12, **options}
    return lionk.minimize(quadratic(t), x0, K=K, weight_decay=2.0, jac=True, maxiter=steps, **options)


def slowly(*values):
    return [
        pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=[pytest.mark.slow, pytest.mark.timeout(600)])
        for v in values
    ]


@pytest.mark.parametrize(
    ("K", "rule"),
    [
        ("l2", "plateau"),
        ("l1", "anchored"),
        *slowly(("l1", "plateau"), ("l2", "anchored")),
        *slowly(*product(({"name": "top_k", "k": 500}, "huber", "linf", "lp", "max"), ("plateau", "anchored"))),
    ],
    ids=str,
)
def test_two_processes_give_the_run_of_one_and_the_graph_stays_as_it_is(client, K, rule):
    t, sizes = target(4000, 2000), []

    def see(info):
        sizes.append(len(info.x.__dask_graph__()))

    got = run(K, t, da.zeros(4000, chunks=2000), 3, rule=rule, callback=see)
    want = run(K, np.cos(np.arange(4000) / 7.0), np.zeros(4000), 3, rule=rule)
    assert sizes == [2] * (got.nit + 1) and got.nit > 1
    assert len(got.state.m.__dask_graph__()) == 2
    np.testing.assert_allclose(got.last_x.compute(), want.last_x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(got.history.gap.compute(), want.history.gap, rtol=1e-9, atol=1e-9)
    assert [s.verdict for s in got.certificate.statements] == [s.verdict for s in want.certificate.statements]


def tasks(client):
    """The tasks of the scheduler, once it has forgotten what it was told to forget: when the count stands still."""

    def count():
        return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))

    counts = [count()]
    while len(counts) < 10 or len(set(counts[-10:])) > 1:
        time.sleep(0.05)
        counts.append(count())
    return counts[-1]


@pytest.mark.slow
def test_the_scheduler_remembers_a_fixed_number_of_tasks_for_each_step(client):
    """What it needs to compute x and m again: a step and two results for each block, the gradient, f."""
    seen, t = [], target(4000, 1000).persist()
    run("l1", t, da.zeros(4000, chunks=1000), 8, callback=lambda _: seen.append(tasks(client)))
    added = np.diff(seen[2:])
    assert (added == added[0]).all(), seen


@pytest.mark.parametrize("K", slowly("l1", "l2", {"name": "top_k", "k": 100}), ids=str)
def test_a_matrix_larger_than_the_memory_of_a_worker(client, K):
    """480 MB of random numbers in blocks of 8 MB: made when they are needed, in every pass over them."""
    rows = da.random.default_rng(0).normal(size=(60_000, 1000), chunks=(1000, 1000))
    truth = da.from_array(np.sign(np.random.default_rng(1).normal(size=1000)), chunks=500)
    targets = (rows @ truth).persist()

    def fun(x):
        r = rows @ x - targets
        return (r * r).sum() / (2 * len(r)), rows.T @ r / len(r)

    moments, end = (rows.T @ rows / len(rows)).compute(), truth.compute()

    def small(x):
        return float((x - end) @ moments @ (x - end) / 2), moments @ (x - end)

    options = {"K": K, "weight_decay": 1.0, "lr": 0.5, "betas": (0.5, 0.5), "jac": True, "maxiter": 3, "tol": 0.0}
    result = lionk.minimize(fun, da.zeros(1000, chunks=500), **options)
    want = lionk.minimize(small, np.zeros(1000), **options)
    assert rows.nbytes > dask.utils.parse_bytes(LIMIT)
    np.testing.assert_allclose(result.last_x.compute(), want.last_x, atol=1e-10)
    np.testing.assert_allclose(result.history.objective.compute(), want.history.objective, rtol=1e-9)
    assert not result.certificate.failed


@pytest.mark.parametrize("K", ["l1", *slowly("l2", {"name": "top_k", "k": 500})], ids=str)
def test_a_worker_that_dies_loses_nothing(client, K):
    """x and m are computed again, from the steps that the scheduler remembers."""
    t, died = target(4000, 500), []

    def kill(info):
        """Kills, from the third step on, the worker that holds most blocks of x alone: some may be on both."""
        alone = Counter(where for where in client.who_has(info.x).values() if len(where) == 1)
        if info.nit >= 3 and alone and not died:
            (address,), held = alone.most_common(1)[0]
            os.kill(client.run(os.getpid)[address], signal.SIGKILL)
            died.append(held)

    got = run(K, t, da.zeros(4000, chunks=500), callback=kill)
    want = run(K, t, da.zeros(4000, chunks=500))
    assert died, "no block of x was on one worker alone"
    assert got.nit == want.nit == 6
    np.testing.assert_array_equal(got.last_x.compute(), want.last_x.compute())
    np.testing.assert_array_equal(got.state.m.compute(), want.state.m.compute())
    np.testing.assert_array_equal(got.history.objective.compute(), want.history.objective.compute())
