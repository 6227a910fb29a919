"""Judges ports, version by version, and writes the pages about them.

    python docs/conformance_results.py judge [PORT[==VERSION] ...]   what is missing, or what is named
    python docs/conformance_results.py newest [PORT ...]             what the index has that was not judged yet
    python docs/conformance_results.py page                          the pages and badges from what was judged

Each version is installed without its dependencies into a folder of its own (``pip install --no-deps --target``), which
comes first on the path of one process of ``lionk conform``; the frameworks below it are those of this environment. What
it finds is kept as docs/conformance/results/PORT/VERSION.json, which docs/conformance-results.md is generated from.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from conformance_page import write_pages

HERE = Path(__file__).parent
RESULTS = HERE / "conformance" / "results"


@dataclass(frozen=True)
class Judged:
    """A port: its package, what is judged in it, and with which words of ``lionk conform``.

    ``blank``: files of the package that import what its optimizers do not need (models, vision); they are emptied.
    """

    package: str
    target: str
    versions: tuple[str, ...]
    words: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # packages that these versions need, and the environment may lack; {} is the version
    file: str = ""  # of docs/conformance/ports, where the target is a port in it, and not in the package
    env: dict[str, str] = field(default_factory=dict)


TIMM = ("timm/__init__.py", "timm/optim/__init__.py")
PORTS: dict[str, Judged] = {
    "lion-pytorch": Judged(
        "lion-pytorch",
        "lion_pytorch:Lion",
        ("0.0.7", "0.1.2", "0.1.4", "0.2.0", "0.2.2", "0.2.3", "0.2.5"),
    ),
    "lion-pytorch-cautious": Judged("lion-pytorch", "lion_pytorch.cautious_lion:Lion", ("0.2.3", "0.2.5")),
    "lion-pytorch-foreach": Judged("lion-pytorch", "lion_pytorch.foreach:Lion", ("0.2.3", "0.2.5")),
    "pytorch_optimizer": Judged(
        "pytorch_optimizer",
        "pytorch_optimizer.optimizer.lion:Lion",
        ("2.12.0", "3.1.2", "3.5.1", "3.8.2", "3.10.1", "4.1.0"),
        blank=("pytorch_optimizer/__init__.py", "pytorch_optimizer/optimizer/__init__.py"),
    ),
    "timm": Judged("timm", "timm.optim.lion:Lion", ("0.9.16", "1.0.15", "1.0.20", "1.0.31"), blank=TIMM),
    "torch-optimi": Judged("torch-optimi", "optimi:Lion", ("0.1.2", "0.2.1", "0.3.0", "0.3.3")),
    "adv_optm": Judged("adv_optm", "adv_optm:Lion_adv", ("1.0.6", "1.4.1", "2.0.1", "2.2.3", "2.5.16")),
    "bitsandbytes": Judged("bitsandbytes", "bitsandbytes.optim:Lion32bit", ("0.50.2",)),
    "optax": Judged("optax", "optax:lion", ("0.2.4", "0.2.5", "0.2.6", "0.2.7", "0.2.8"), also=("chex", "toolz")),
    "keras-on-torch": Judged(
        "keras", "keras.optimizers:Lion", ("3.8.0", "3.12.4", "3.15.1"), env={"KERAS_BACKEND": "torch"}
    ),
    "mlx": Judged(
        "mlx",
        "mlx.optimizers:Lion",
        ("0.26.5", "0.28.0", "0.30.6", "0.32.4"),
        also=("mlx-cpu=={}",),
        file="mlx_lion.py",
    ),
    "deepspeed": Judged(
        "deepspeed",
        "deepspeed.ops.lion:DeepSpeedCPULion",
        ("0.19.8",),
        also=("hjson", "psutil", "py-cpuinfo", "msgpack", "ninja", "pydantic", "einops"),
        env={"DS_ACCELERATOR": "cpu"},
    ),
    "torch-muon": Judged("torch", "torch.optim:Muon", ("installed",)),
    "lionk": Judged("lionk", "lionk_torch:LionK", ("installed",)),
}


def wanted(names: list[str]) -> Iterator[tuple[str, Judged, str]]:
    for name, port in PORTS.items():
        for version in port.versions:
            known = any(RESULTS.joinpath(name).glob("*.json" if version == "installed" else f"{version}.json"))
            if (names and (name in names or f"{name}=={version}" in names)) or (not names and not known):
                yield name, port, version


def judge(name: str, port: Judged, version: str) -> str:
    """One version, or the newest, in a folder of its own. Returns a line that says what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        if version != "installed":
            named = [f"{port.package}=={version}", *(a.format(version) for a in port.also)]
            if version == "newest":
                named = [n.partition("==")[0] for n in named]
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *named]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{name} {version}: cannot be installed: {done.stderr.strip()[-200:]}"
        if version == "newest":
            version = next(iter(metadata.distributions(name=port.package, path=[folder]))).version
            if (RESULTS / name / f"{version}.json").exists():
                return f"{name} {version}: is the newest, and was judged"
        for file in port.blank:
            if (Path(folder) / file).exists():
                (Path(folder) / file).write_text("")
        out = Path(folder) / "report.json"
        target = f"{HERE / 'conformance' / 'ports' / port.file}:port" if port.file else port.target
        words = ["conform", target, "--dtype", "float64,float32", "--timeout", "300", *port.words]
        env = {**os.environ, **port.env, "PYTHONPATH": os.pathsep.join(path), "KERAS_HOME": folder}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "lionk", *words, "--json", str(out)],
            capture_output=True, text=True, check=False, env=env, cwd=folder,
        )  # fmt: skip
        if done.returncode not in (0, 1):
            return f"{name} {version}: cannot be judged: {done.stderr.strip()[-300:]}"
        report = json.loads(out.read_text(encoding="utf-8"))
    return keep(name, metadata.version(port.package) if version == "installed" else version, report)


def keep(name: str, version: str, report: dict[str, Any]) -> str:
    """Write the file of a version: the report, with the tests that did not pass."""
    report["tests"] = [t for t in report["tests"] if t["verdict"] not in ("pass", "skip")]
    path = RESULTS / name / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return f"{name} {version}: {'pass' if report['passed'] else 'fail'}, holds {report['held']}; {report['hint']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("judge", "newest", "page"))
    parser.add_argument("ports", nargs="*")
    asked = parser.parse_args()
    if asked.do == "judge":
        for name, port, version in wanted(asked.ports):
            print(judge(name, port, version), flush=True)
    if asked.do == "newest":
        for name, port in PORTS.items():
            if port.versions != ("installed",) and (not asked.ports or name in asked.ports):
                print(judge(name, port, "newest"), flush=True)
    write_pages(HERE, {name: port.target for name, port in PORTS.items()})


if __name__ == "__main__":
    main()
