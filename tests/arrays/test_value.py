"""Values: dataclasses to whoever asks, made without that module."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import numpy as np
import pytest

import lionk
from lionk.arrays.value import fields
from lionk.sets.box import Box


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


def test_a_class_is_described_as_a_dataclass_once() -> None:
    """Making the description takes a hundred times as long as making a K."""
    assert lionk.K("l1").__dataclass_fields__ is lionk.K("l2").__dataclass_fields__
    assert lionk.K("l1").__dataclass_fields__ is not lionk.K("huber").__dataclass_fields__


def test_a_users_dataclass_of_a_value_has_its_own_fields() -> None:
    @dataclasses.dataclass(eq=False, repr=False)
    class Mine(Box):
        name: str = "box"

    mine = Mine(upper=2.0, name="mine")
    assert [f.name for f in fields(mine)] == [*(f.name for f in fields(Box)), "name"]
    assert mine == Mine(upper=2.0, name="mine") and mine != Mine(upper=2.0) and hash(mine) != hash(Mine(upper=2.0))
    assert mine.project(np.asarray([3.0])) == 2.0 and "name='mine'" in repr(mine)
    with pytest.raises(dataclasses.FrozenInstanceError, match="'name' cannot be set"):
        mine.name = "another"


def test_a_K_is_made_without_dataclasses() -> None:
    code = "import sys, array_api_compat as a; had = 'dataclasses' in sys.modules; import lionk; lionk.K('l1')"
    subprocess.run([sys.executable, "-c", f"{code}; assert had or 'dataclasses' not in sys.modules"], check=True)
