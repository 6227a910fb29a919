"""``lionk solve --backend dask --scheduler ADDRESS``, with a cluster in another process."""

from __future__ import annotations

import json
import subprocess
import sys

import dask.array as da
import pytest

from command_line import lk
from lionk.app.solve import cluster

CLUSTER = """
from distributed import LocalCluster
if __name__ == "__main__":
    quiet = {"dashboard_address": ":0", "worker_dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", **quiet) as c:
        print(c.scheduler_address, flush=True)
        input()
"""


def solve(*arguments):
    return lk("solve", "--plot", "none", *arguments)


@pytest.fixture
def address(tmp_path):
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline().strip()
        process.communicate("\n", timeout=30)


def test_a_run_on_a_cluster_is_the_run_here(tmp_path, address):
    numbers = {}
    for name, options in (("dask", ("--scheduler", address)), ("numpy", ())):
        path = tmp_path / f"{name}.json"
        done = solve("--backend", name, *options, "--maxiter", 3, "--json", path)
        assert "NOT certified: 5 of 5 statements hold" in done.output, done.output
        numbers[name] = json.loads(path.read_text(encoding="utf-8"))
    assert numbers["dask"]["result"]["objective"] == pytest.approx(numbers["numpy"]["result"]["objective"], rel=1e-9)
    assert numbers["dask"]["history"]["gap"] == pytest.approx(numbers["numpy"]["history"]["gap"], rel=1e-6)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "tcp://"])
def test_an_address_where_nobody_answers(monkeypatch, address):
    monkeypatch.setattr(cluster, "SECONDS", 0.3)
    done = solve("--backend", "dask", "--scheduler", address, "--json", "none")
    assert done.exit_code == 2
    assert f"--scheduler {address}" in done.output and "answers within 0.3 s" in done.output
    assert "Traceback" not in done.output
    assert float(da.ones(3).sum()) == 3, "what is computed later waits for that scheduler"


def test_other_backends_have_no_scheduler():
    done = solve("--scheduler", "tcp://127.0.0.1:9", "--json", "none")
    assert done.exit_code == 2
    assert "--backend dask" in done.output
