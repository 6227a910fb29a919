"""The cases of the kit for a given K and given claims: one generator for each family, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .cases import Case
from .edges import edges
from .maker import FINE, PROBES, WIDE, Maker, takes
from .port import Capabilities
from .rules import rule_of
from .script import Script

#: Approximations that declare more than this are asked for small singular values, too.
_COARSE = 0.2
_LEVEL = {"float64": 0, "float32": 1, "float16": 2, "bfloat16": 2}


def cases(claims: Capabilities, level: int = 3, dtypes: tuple[str, ...] | None = None) -> list[Case]:
    """Every case that a port with these claims is given, up to a level."""
    chosen = [d for d in claims.dtypes if dtypes is None or d in dtypes]
    return [
        case
        for dtype in chosen
        for case in _made(claims, dtype)
        if level_of(case.id, case.dtype, claims.dtypes) <= level and rule_of(case.id).since <= claims.specification
    ]


def level_of(case_id: str, dtype: str, dtypes: tuple[str, ...]) -> int:
    """That of the rule, or of the dtype if that is higher; the widest dtype of a port counts as float64."""
    widest = min(_LEVEL[d] for d in dtypes)
    return max(rule_of(case_id).level, 0 if _LEVEL[dtype] == widest else _LEVEL[dtype])


#: By dtype: the last claims, the K that they name, and their cases.
_KEPT: dict[str, tuple[tuple[Capabilities, Any], list[Case]]] = {}


def _made(claims: Capabilities, dtype: str) -> list[Case]:
    """The cases of one dtype: those of the last claims are kept, since a port is asked rule by rule."""
    make = Maker(claims, dtype)
    asked = claims, make.K
    if not isinstance(claims.K, str) or dtype not in _KEPT or _KEPT[dtype][0] != asked:
        _KEPT[dtype] = asked, list(_all(make))
    return _KEPT[dtype][1]


def _all(make: Maker) -> Iterator[Case]:
    claims, dtype = make.claims, make.dtype
    if dtype in WIDE:
        for family in (_approximate,) if not make.tuned else (_readout, _selection, _update, _state, _long, _shapes):
            yield from family(make)
        if make.tuned and claims.specification >= "1.1":
            yield from edges(make)
    else:
        yield from _narrow(make)
    if make.tuned and make.K.traits.structure == "elementwise":
        yield from _special(make)


def _readout(make: Maker) -> Iterator[Case]:
    yield make.case("S1.readout/random", make.script("random").random(5))
    yield make.case("S1.readout/probe", make.script("probe").random(3).probe(*PROBES))
    yield make.case("S1.first/one", make.script("one").random(1))
    yield make.case("S1.first/two", make.script("two").random(1).probe(2.0**-4, 2.0**-2))
    yield make.case("S1.first/late", make.script("late").constant(0.0, 2).random(1).probe(2.0**-4))
    if make.claims.betas == "free":
        for b1, b2 in ((0.95, 0.98), (0.5, 0.875), (0.9, 0.9), (0.75, 0.999), (0.98, 0.9)):
            yield make.case(f"S1.betas/{b1:g}_{b2:g}", make.script(f"{b1}", b1, b2).random(3).probe(*PROBES[:3]))
        yield make.case("S1.zero_beta/random", make.script("b1 = 0", 0.0, 0.9).random(3))
    elif make.claims.betas != "none":
        for b in (0.5, 0.8, 0.98):
            yield make.case(f"S1.betas/{b:g}", make.script(f"{b}", b, b).random(3).probe(*PROBES[:3]))


def _selection(make: Maker) -> Iterator[Case]:
    yield make.case("S2.selection/zero", make.script("zero").constant(0.0, 3), exact=True)
    half = make.script("half")
    for _ in range(3):
        half.add([v if i % 3 else 0.0 for i, v in enumerate(half.numbers(0.25, 1))])
    yield make.case("S2.selection/zeros", half)
    dyadic: dict[str, Any] = {"lr": 0.0625, "wd": 0.5, "start": (0.25, 2.0, 3), "exact": True}
    tied = make.script("tie", 0.5, 0.5 if make.claims.betas == "nesterov" else 0.75)
    yield make.case("S2.selection/tie", tied.add([27 / 16 * v for v in tied.numbers(1, 4, 0)]).tie().tie(), **dyadic)
    kinks = make.script("kink", 0.5, 0.5)
    b1 = kinks.betas[0]
    levels = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.0)
    aims = [kinks.draw.choice(levels) for _ in range(kinks.n)]
    yield make.case("S2.selection/kink", kinks.add([-a / (1 - b1) for a in aims]), **{**dyadic, "exact": b1 == 0.5})
    if make.K.traits.structure == "matrix":
        rows, cols = make.shape
        line = [(i + 1) * (j - 1.5) / 4 for i in range(rows) for j in range(cols)]
        same = [2.0 * (i == (j + 1) % rows) for i in range(rows) for j in range(cols)]
        yield make.case("S2.selection/rank", make.script("rank").add(line).random(1))
        yield make.case("S2.selection/repeated", make.script("repeated").add(same).random(1))
    if make.K.traits.homogeneous:
        for scale in (1e-30, 1e-12, 1e-6, 1e20):
            script = make.script(f"scale {scale}")
            for _ in range(3):
                script.add([scale * v for v in script.numbers(0.25, 2)])
            yield make.case(f"S2.scale/{scale:.0e}", script)


def _update(make: Maker) -> Iterator[Case]:
    dyadic: dict[str, Any] = {"lr": 0.0625, "wd": 0.5, "start": (0.25, 2.0, 3), "exact": True}
    yield make.case("S3.step/dyadic", make.script("dyadic", 0.5, 0.75).random(3, bits=4), **dyadic)
    for lr in (1e-4, 0.3, 1.0):
        start = (0.03125, 0.125, 9) if lr < 0.01 else (0.25, 2.0, 6)
        yield make.case(f"S3.step/lr_{lr:g}", make.script(f"lr {lr}").random(2), lr=lr, wd=0.7, start=start)
    for decay in make.claims.decays:
        script = make.script(f"decay {decay}").constant(0.0, 2).random(4, 0.0625, 1.0)
        # The fixed convention has a factor of its own; the others multiply by the rate.
        wd = {"fixed": 0.02, "lr_ratio": 0.04}.get(decay, 0.8)
        yield make.case(f"S3.decay/{decay}", script, lr=0.05, wd=wd, start=(0.5, 2.0, 6), decay=decay)
    yield make.case("S3.zero_decay/random", make.script("no decay").random(3), wd=0.0)
    if make.claims.schedule:
        warm_up = make.script("lr 0").random(1).probe(*PROBES[:2])
        yield make.case("S3.zero_rate/warm_up", warm_up, [0.0, 0.05, 0.05], wd=0.0, scheduled=True)
    else:
        yield make.case("S3.zero_rate/constant", make.script("lr 0").random(2), lr=0.0, wd=0.0)


def _state(make: Maker) -> Iterator[Case]:
    fine = FINE.get(make.claims.state_dtype or make.dtype, ())
    yield make.case("S4.state/probe", make.script("state").random(6).probe(*PROBES, *PROBES, *fine))
    impulse = make.script("impulse").random(1, 4.0, 8.0).constant(0.0, 4).probe(*PROBES)
    yield make.case("S4.state/impulse", impulse)
    grown = make.script("grown").random(2, 0.0625, 0.25).random(2, 2.0, 8.0).probe(*PROBES)
    yield make.case("S4.state/growing", grown, wd=0.9)


def _long(make: Maker) -> Iterator[Case]:
    script = make.script("trajectory")
    for i in range(10):
        script.random(3, 0.125, 2.0 ** (i % 3)).probe(PROBES[i % 4])
    yield make.case("S5.trajectory/mixed", script, lr=0.02, wd=0.5)
    flat = make.script("no decay at all").random(6).probe(*PROBES)
    yield make.case("S5.trajectory/no_decay", flat, lr=0.02, wd=0.0)
    if make.claims.schedule:
        for decay in make.claims.decays:
            wd = {"fixed": 0.02, "lr_ratio": 0.04}.get(decay, 0.8)
            rates = [0.1, 0.08, 0.05, 0.02, 0.01]
            script = make.script(f"schedule {decay}").constant(0.0).random(4)
            yield make.case(f"S5.schedule/{decay}", script, rates, wd, decay=decay, scheduled=True)
        if make.decay == "lr_wd":
            rates = [0.01, 0.02, 0.06, 0.1, 0.1]
            script = make.script("warm-up").random(4).constant(0.0)
            yield make.case("S5.schedule/warm_up", script, rates, 0.8, scheduled=True)


def _shapes(make: Maker) -> Iterator[Case]:
    def shaped(name: str, shape: tuple[int, ...], layout: str = "C", steps: int = 3) -> Iterator[Case]:
        script = make.script(f"shape {name}", shape=shape).random(steps)
        if not takes(make.claims.K, shape):
            return
        yield make.case(f"S5.shape/{name}", script, shape=shape, layout=layout)

    matrix, square = len(make.shape) == 2, make.shape == (4, 4)
    others: list[tuple[str, tuple[int, ...]]]
    if matrix:
        others = [("square", (5, 5)), ("one", (1, 1))]
        others += [] if square else [("wide", (3, 5)), ("tall", (6, 2)), ("row", (1, 4)), ("column", (4, 1))]
        for name, shape in others:
            yield from shaped(name, shape)
    else:
        others = [
            ("zero_d", ()),
            ("empty", (0,)),
            ("one", (1,)),
            ("row", (1, 5)),
            ("square", (3, 3)),
            ("cube", (2, 3, 4)),
        ]
        for name, shape in others:
            yield from shaped(name, shape)
        if make.K.traits.structure == "elementwise":
            yield from shaped("large", (4099,), steps=2)
    yield from shaped("transposed", make.shape if matrix else (3, 5), "transposed")
    yield from shaped("strided", make.shape, "strided")
    yield from shaped("readonly", make.shape, "readonly")


def _narrow(make: Maker) -> Iterator[Case]:
    """16-bit parameters: short runs with wide margins, an exact one, and the drift of a momentum in float32."""
    if not make.tuned:
        return
    script = make.script("narrow")
    first = script.numbers(0.5, 2, 4)
    for factor in (1.0, 1.0, 1.0):
        script.add([factor * v for v in first])
    yield make.case("S6.precision/short", script, lr=0.25, wd=0.5, start=(0.25, 0.5, 4))
    flip = make.script("flip").random(1, 0.5, 2, 4)
    flip.add([-v for v in flip.grads[0]])
    yield make.case("S6.precision/flip", flip, lr=0.25, wd=0.5, start=(0.25, 0.5, 4))
    kept = make.script("narrow momentum", 0.5, 0.75).random(1, 0.5, 2, 2)
    for _ in range(2):  # against the momentum, and too small to turn the readout
        kept.add([-v / 16 for v in kept.grads[0]])
    yield make.case("S6.precision/momentum", kept, lr=0.25, wd=0.5, start=(0.25, 0.5, 4))
    if make.K.traits.homogeneous:  # its square is 0 in the dtype, its hundredth is not
        small = make.script("narrow small")
        tiny = 2.0**-90 if make.dtype == "bfloat16" else 2.0**-12
        for _ in range(2):
            small.add([tiny * v for v in small.numbers(0.5, 2, 4)])
        yield make.case("S6.precision/small", small, lr=0.25, wd=0.5, start=(0.25, 0.5, 4))
    dyadic = make.script("narrow dyadic", 0.5, 0.75).random(1, 0.5, 2, 2)
    yield make.case("S6.precision/dyadic", dyadic, lr=0.25, wd=0.5, start=(0.5, 1.5, 1), exact=True)
    yield make.case(
        "S6.precision/zero", make.script("zero").constant(0.0, 2), lr=0.25, wd=0.5, start=(0.5, 1, 2), exact=True
    )
    if make.claims.state_dtype not in (None, make.dtype):
        # Steps of the average below half a unit of its last 16-bit digit: kept in 16 bits it would stand still.
        near, aim = (0.75, 0.02) if make.dtype == "bfloat16" else (0.66, 0.005)
        drift = make.script("drift").constant(64.0).constant(near, 40).probe(aim)
        yield make.case("S6.precision/drift", drift, lr=0.25, wd=0.5, start=(0.25, 0.5, 4))


def _special(make: Maker) -> Iterator[Case]:
    lr: dict[str, Any] = {"lr": 0.25, "wd": 0.5, "start": (0.25, 0.5, 4)}
    for name, values in (("nan", (math.nan, math.nan)), ("infinity", (math.inf, -math.inf))):
        if name == "infinity" and not make.K.traits.bounded_domain:
            continue  # an infinite step is all that could be asked
        script = make.script(name).random(1, 0.5, 2, 4)
        g = script.numbers(0.5, 2, 4)
        odd = [values[i % 2] if i % 5 == 0 else v for i, v in enumerate(g)]
        script.grads.append(tuple(odd))
        if name == "nan" and not make.claims.state_error:  # one NaN may take a block of few bits with it
            script.grads.append(tuple(v if i % 5 == 0 else 0.0 for i, v in enumerate(g)))
        yield make.case(f"S6.{name}/second", script, **lr)
    if make.claims.state_dtype is not None:
        return
    start = make.script("nan first")
    g = start.numbers(0.5, 2, 4)
    start.grads.append(tuple(math.nan if i % 4 == 1 else v for i, v in enumerate(g)))
    yield make.case("S6.nan/first", start, **lr)


def _stretched(make: Maker) -> Script:
    """A singular value of 2, and others of 1/32: iterations that end too early leave those short."""
    script, cols = make.script("stretched"), make.shape[-1]
    for _ in range(2):
        noise = script.numbers(0.0, 0.25)
        diagonal = [(2.0 if i == 0 else 2.0**-5) * (i // cols == i % cols) for i in range(script.n)]
        script.add([d + e / 64 for d, e in zip(diagonal, noise, strict=True)])
    return script


def _heavy(make: Maker, which: str, shape: tuple[int, ...]) -> Script:
    """A first column, or row, that is longer than each sum of a row, or column: no such sum bounds the singular values.
    And far from symmetric: the transposed direction is another one.
    """
    script, cols = make.script(f"heavy {which}", shape=shape), shape[-1]
    for _ in range(2):
        noise = script.numbers(0.0, 0.25)
        places = [(i // cols, i % cols) for i in range(script.n)]
        heavy = [6.0 * ((r if which == "row" else c) == 0) + 2.0 * (r == c) for r, c in places]
        script.add([h + e for h, e in zip(heavy, noise, strict=True)])
    return script


def _approximate(make: Maker) -> Iterator[Case]:
    """Well-conditioned readouts: what can be asked of Newton-Schulz and its like."""
    cols = make.shape[-1] if len(make.shape) == 2 else 1

    def push(script: Script, *signs: float, cols: int = cols, size: float = 1.0) -> Script:
        for sign in signs:
            noise = script.numbers(0.0, 0.25)
            script.add([size * (sign * (2.0 * (i // cols == i % cols)) + e) for i, e in enumerate(noise)])
        return script

    yield make.case("S1.first/one", push(make.script("one"), 1))
    yield make.case("S1.readout/push", push(make.script("push"), 1, 1, -1, 3, 1))
    yield make.case("S1.readout/turn", push(make.script("turn"), 8, -1, -1, 1, -4))
    yield make.case("S2.selection/zero", make.script("zero").constant(0.0, 2), exact=True)
    for decay in make.claims.decays:
        script = push(make.script("decay").constant(0.0, 1), 1, 1)
        yield make.case(f"S3.decay/{decay}", script, lr=0.05, wd=0.8, start=(4.0, 8.0, 4), decay=decay)
    if len(make.shape) == 2:  # where a scale by the shape is 2 or 1/2
        for name, shape in (("tall", (12, 3)), ("wide", (3, 12))):
            script = push(make.script(name, shape=shape), 1, 2, cols=shape[1])
            if not takes(make.claims.K, shape):
                continue
            yield make.case(f"S5.shape/{name}", script, shape=shape)
    if make.claims.specification >= "1.1":
        if make.claims.betas != "none":
            b1, b2 = (0.5, 0.875) if make.claims.betas == "free" else (0.5, 0.5)
            yield make.case(f"S1.betas/{b2:g}", push(make.script("short", b1, b2), 4, -2, 1, -1))
        # Muon's own epsilon of 1e-7 is lost in an error of a third, and not in a smaller one.
        tiny = [("tiny", 2.0**-24)] if make.claims.accuracy > _COARSE else []
        for name, size in [("large", 2.0**20), ("small", 2.0**-12), *tiny] if make.K.traits.homogeneous else []:
            yield make.case(f"S2.scale/{name}", push(make.script(name), 1, 1, size=size))
        if len(make.shape) == 2:
            for name in ("column", "row"):
                yield make.case(f"S1.readout/{name}", _heavy(make, name, make.shape))
            if takes(make.claims.K, (6, 6)):  # two or three heads of rows divide it
                yield make.case("S5.shape/square", _heavy(make, "square", (6, 6)), shape=(6, 6))
        if len(make.shape) == 2 and make.claims.accuracy > _COARSE:
            yield make.case("S1.readout/stretched", _stretched(make))
    yield make.case("S3.zero_decay/push", push(make.script("no decay"), 1, 2), wd=0.0)
    yield make.case("S4.state/impulse", push(make.script("impulse"), 16, 0.5, -0.25, -0.5, -1))
    yield make.case("S5.trajectory/push", push(make.script("long"), *[1, 2, 1, -1] * 4), lr=0.02)
    if make.claims.schedule:
        yield make.case(
            "S5.schedule/lr_wd", push(make.script("schedule"), 1, 1, 1), [0.1, 0.05, 0.01], 0.8, scheduled=True
        )
