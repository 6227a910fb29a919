"""Values: dataclasses to whoever asks, made without that module."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import pytest

import lionk


def test_the_functions_of_dataclasses_take_a_value() -> None:
    K = lionk.K("huber", delta=0.5)
    assert dataclasses.is_dataclass(K)
    assert [(f.name, f.init, f.kw_only) for f in dataclasses.fields(K)] == [
        ("conjugate", True, True), ("label", True, True), ("derived", False, False), ("traits", False, False),
        ("domain", False, False), ("inner", True, False), ("mu", True, False),
    ]  # fmt: skip
    wider = dataclasses.replace(K, mu=2.0, label=None, conjugate=None)
    assert wider == lionk.K("huber", delta=2.0) and wider != K
    assert dataclasses.replace(K.traits, along=-1).along == -1 and K.traits.along is None
    assert list(inspect.signature(type(K)).parameters) == ["inner", "mu", "conjugate", "label"]
    with pytest.raises(dataclasses.FrozenInstanceError, match="'mu' cannot be set"):
        K.mu = 3.0
    with pytest.raises(TypeError, match="missing a required argument: 'inner'"):
        type(K)()


def test_a_K_is_made_without_dataclasses() -> None:
    code = "import sys, array_api_compat as a; had = 'dataclasses' in sys.modules; import lionk; lionk.K('l1')"
    subprocess.run([sys.executable, "-c", f"{code}; assert had or 'dataclasses' not in sys.modules"], check=True)
