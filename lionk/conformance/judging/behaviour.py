"""What a step does not show: the tests that compare runs of a port with other runs of the same port.

Each test is a function of a port and a case, and returns what is wrong, or "".
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from ..specification.families import level_of
from ..specification.maker import WIDE, Maker, probes
from ..specification.port import Capabilities, Port
from ..specification.rules import rule_of
from . import handling, parts, restoring, several
from .pairs import Test
from .trace import Elsewhere, Raised, contained

#: The claims that a test needs, and the test. "live": the port is here, and not a program elsewhere.
TESTS: dict[str, tuple[tuple[str, ...], Test]] = {
    "S7.checkpoint/resume": (("live", "checkpoint"), restoring.resume),
    "S7.checkpoint/first": (("live", "checkpoint"), restoring.early),
    "S7.again/twice": ((), handling.again),
    "S7.parameters/two": (("live", "lists"), several.parameters),
    "S7.groups/two": (("live", "lists", "groups"), several.groups),
    "S7.missing/two": (("live", "lists", "missing"), several.missing),
    "S7.shards/two": (("live", "elementwise K"), parts.shards),
    "S5.shape/tiled": (("live", "elementwise K"), parts.tiled),
    "S5.shape/stacked": (("live", "matrix K"), parts.stacked),
    "S2.scale/power": (("homogeneous K", "exact K"), handling.scale),
    **{f"S7.gaps/{name}": (("live", "lists", "missing"), several.gaps(name)) for name in several.PATTERNS},
    "S7.mixed/shapes": (("live", "lists"), several.shapes),
    "S7.mixed/dtypes": (("live", "lists", "mixed"), several.dtypes),
    "S7.added/later": (("live", "lists", "adds"), several.added),
    "S7.restore/again": (("live", "checkpoint"), restoring.again),
    "S7.restore/twice": (("live", "checkpoint"), restoring.twice),
    "S7.restore/back": (("live", "checkpoint", "writable"), restoring.back),
    "S7.restore/late": (("live", "checkpoint", "writable"), restoring.late),
    "S7.restore/fresh": (("live", "checkpoint", "writable"), restoring.fresh),
    "S7.restore/values": (("live", "checkpoint", "restores"), restoring.values),
    "S7.restore/groups": (("live", "checkpoint", "restores", "lists", "groups"), restoring.of_groups),
    "S7.restore/sparse": (("live", "checkpoint", "lists", "missing"), restoring.sparse),
    "S7.restore/narrow": (("live", "checkpoint"), restoring.narrow),
    "S7.buffers/reused": (("live", "buffers"), handling.reused),
    "S7.buffers/shared": (("live", "buffers", "lists"), handling.shared),
    "S7.edited/written": (("live", "writable", "exact K"), handling.edited),
    "S7.settings/changed": (("live", "editable", "exact K"), handling.settings),
    "S7.closure/once": (("live", "closure"), handling.closure),
    "S7.options/each": (("live", "options"), handling.options),
    "S7.shards/pieces": (("live", "pieces"), parts.pieces),
    "S7.complex/pairs": (("live", "complex", "elementwise K"), handling.complex_arrays),
}
#: Asked in 16 bits, where a port may keep more than the parameter; the first in these alone.
NARROW = ("S7.restore/narrow", "S7.edited/written")
#: Younger than their rules.
_SINCE = {"S5.shape/tiled": "1.1", "S5.shape/stacked": "1.1", "S7.shards/pieces": "1.1"}


def behaviours(
    port: Port, dtype: str, level: int = 3, only: str = "", claims: Capabilities | None = None
) -> Iterator[tuple[str, str, str]]:
    """``(id, what is wrong or "", why it was left out or "")`` of each test up to a level. ``claims``: those kept."""
    claims = claims or port.capabilities
    make = Maker(claims, dtype)
    for name in _names(claims, dtype):
        if level_of(name, dtype, claims.dtypes) > level or not f"{name}/{dtype}".startswith(only):
            continue
        needs, test = TESTS[name]
        # What a port brings back by itself are the usual betas.
        own = (0.8, 0.95) if name.startswith("S7.restore/") else (0.9, 0.99)
        script = make.script(name, *own).random(3, 0.25, 2.0).random(1, 2.0**-12, 2.0**-9, 12)
        script.probe(*probes(dtype, name in NARROW))
        case = make.case(name, script, lr=0.05, wd=0.5)
        absent = [n for n in needs if not _has(n, make, port)]
        if absent:
            yield case.id, "", f"the port does not claim: {', '.join(absent)}"
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with contained():
                    wrong = test(port, case)
                yield case.id, wrong, ""
            except NotImplementedError as error:
                yield case.id, "", f"not available: {error}"
            except Raised as error:
                yield case.id, str(error), ""
            except Exception as error:
                yield case.id, f"the port raised {type(error).__name__}: {error}", ""


def ids(claims: Capabilities) -> list[str]:
    return [f"{name}/{d}" for d in claims.dtypes for name in _names(claims, d)]


def _names(claims: Capabilities, dtype: str) -> list[str]:
    """All in the widest dtype of a port, if that has 16 bits."""
    every = dtype in WIDE or not set(WIDE) & set(claims.dtypes)
    asked = [n for n in TESTS if (every or n in NARROW) and (n != NARROW[0] or dtype not in WIDE)]
    return [n for n in asked if _SINCE.get(n, rule_of(n).since) <= claims.specification]


def _has(need: str, make: Maker, port: Port) -> bool:
    if need == "live":
        return not isinstance(port, Elsewhere) or port.live
    if need == "homogeneous K":
        return bool(make.K.traits.homogeneous)
    if need == "matrix K":
        return len(make.shape) == 2
    if need == "exact K":
        return make.tuned
    if need == "elementwise K":
        return make.K.by_entry and make.claims.cautious != "rescale" and not make.claims.state_error
    return bool(getattr(port.capabilities, need))
