"""The blocks of docs/training.md, run in order in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import lionk

PAGE = Path(lionk.__file__).parents[1] / "docs" / "training.md"


def test_the_blocks_run(capsys):
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    space = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), space)
    out = capsys.readouterr().out
    assert "|x_i| <= 1/lam, lam = 1; radius 1/lam = 1: 1/wd at every lr" in out
    assert "0.weight (8, 1, 3, 3): kernel_lift(nuclear), s_1(X) <= 1/lam, X the matrix (out, in k...), lr 0.0006" in out
    assert "phase II, gap" in out
    assert space["result"].success


def test_the_table_of_decay_is_that_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    for name in lionk.decay.DECAYS:
        assert f"| `{name}`" in text


def test_the_tables_of_contracts_name_tests_that_exist():
    folder = PAGE.parents[1] / "tests" / "backends"
    files = {
        "T": folder / "lionk_torch" / "test_torch_contract.py",
        "O": folder / "lionk_jax" / "test_optax_contract.py",
        "S": folder / "lionk_numpy" / "test_scipy_method.py",
    }
    rows = re.findall(r"^\|.*`([TOS]): .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) > 20
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.search(r"`([TOS]): .*\|$", line):
            source = files[found[1]].read_text(encoding="utf-8")
            for name in re.findall(r"test_\w+", found[0]):
                assert f"def {name}(" in source, f"{name} is not in {files[found[1]].name}"
