"""The cases of version 1.1: numbers beside a tie, rates beyond 1 or that jump, places in memory, thousands of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .cases import Case
from .maker import PROBES, Maker, takes
from .script import Script

#: Where the gradients of float64 are smaller, or larger, than float32 holds; and near the largest numbers.
SCALES = {"float64": (1e-46, 1e-150, 1e-290, 1e60, 1e150, 1e305), "float32": (1e37,)}
#: Beyond the powers of two and of ten up to 4096.
LONG = 4186
ROWS = 23
#: Beyond 2^8.
COUNTS = 299


def edges(make: Maker) -> Iterator[Case]:
    elementwise = make.K.traits.structure == "elementwise"
    if make.claims.betas == "free":
        yield make.case("S1.zero_b2/random", make.script("b2 = 0", 0.9, 0.0).random(3).probe(2.0**-11, 2.0**-12))
        yield make.case("S1.betas/0.02_0.9999", make.script("far", 0.02, 0.9999).random(3).probe(*PROBES[:3]))
    if elementwise:
        yield from _fine(make)
    elif make.K.traits.structure == "order" and make.claims.betas != "nesterov":
        yield _near_ties(make)
    yield from _large(make)
    yield from _places(make)
    if make.claims.schedule:
        yield from _rates(make)
    if elementwise and make.shape == (16,) and make.dtype == make.widest:
        yield _thousands(make)
        if make.claims.schedule:
            yield _counts(make)


def _fine(make: Maker) -> Iterator[Case]:
    if make.claims.betas != "nesterov":
        near = 2.0**-50 if make.dtype == "float64" else 2.0**-21
        script = make.script("neighbour", 0.5, 0.5).random(1, 0.5, 2, 4)
        for size in (near, 2.0**-6, near):
            script.add([size * script.draw.choice((-1, 1)) - m for m in script.m])
        yield make.case("S2.fine/neighbour", script, lr=0.0625, wd=0.5, start=(0.25, 2.0, 3), exact=True)
    if not make.K.traits.homogeneous:
        return
    for scale in SCALES[make.dtype]:
        script = make.script(f"fine {scale}")
        for _ in range(3):
            script.add([scale * v for v in script.numbers(0.25, 2)])
        yield make.case(f"S2.fine/{scale:.0e}", script)
    low, high = (-290, 150) if make.dtype == "float64" else (-30, 20)
    mixed = make.script("mixed")
    powers = [10.0 ** (low + (high - low) * i // (mixed.n - 1)) for i in range(mixed.n)]
    for _ in range(3):
        mixed.add([s * v for s, v in zip(powers, mixed.numbers(0.25, 2), strict=True)])
    yield make.case("S2.fine/mixed", mixed)


def _near_ties(make: Maker) -> Case:
    """Magnitudes that differ by a little, in a shuffled order: the largest is the largest alone."""
    apart = 2.0**-40 if make.dtype == "float64" else 2.0**-17
    script = make.script("near ties", 0.5, 0.5).random(1, 0.5, 2, 4)
    for _ in range(2):
        ranks = list(range(script.n))
        script.draw.shuffle(ranks)
        script.add([script.draw.choice((-1, 1)) * (1 + r * apart) - m for r, m in zip(ranks, script.m, strict=True)])
    return make.case("S2.fine/near_ties", script, lr=0.0625, wd=0.5, start=(0.25, 2.0, 3))


def _large(make: Maker) -> Iterator[Case]:
    for decay in make.claims.decays:
        if decay in ("coupled", "none"):
            continue
        for name, lr, wd in (("one", 1.0, 1.0), ("beyond", 2.0, 0.875), ("far", 1.0, 3.0)):
            script = make.script(f"large {name}").random(3)
            yield make.case(f"S3.large/{decay}_{name}", script, lr=lr, wd=wd, decay=decay)
    yield make.case("S3.large/rate", make.script("large rate").random(3), lr=64.0, wd=2.0**-8)
    if make.decay not in ("coupled", "none"):
        yield make.case("S3.large/small_decay", make.script("small decay").random(3), lr=0.5, wd=2.0**-22)
    start = (2.0**-42, 2.0**-40, 48)
    yield make.case("S3.large/small_rate", make.script("small rate").random(3), lr=2.0**-41, wd=0.5, start=start)


def _places(make: Maker) -> Iterator[Case]:
    """A gradient that lies in memory otherwise than its parameter, four axes, and entries of x that are 0."""
    matrix = len(make.shape) == 2
    shape = make.shape if matrix else (3, 5)
    if takes(make.claims.K, shape):
        for layout in ("transposed_x", "transposed_gradient", "strided_gradient"):
            script = make.script(f"layout {layout}", shape=shape).random(3)
            yield make.case(f"S5.shape/{layout}", script, shape=shape, layout=layout)
    if not matrix and takes(make.claims.K, shape):
        script = make.script("expanded", shape=shape)
        for _ in range(3):
            script.add(script.numbers(0.125, 2.0)[:5] * 3)
        yield make.case("S5.shape/expanded", script, shape=shape, layout="expanded")
    for name, odd in (("scalar", ()), ("few", (3,)), ("odd", (13,)), ("table", (4, 3))):  # asked for momentum
        if not matrix and takes(make.claims.K, odd):
            script = make.script(f"few {name}", shape=odd).random(2).probe(*PROBES[:2])
            yield make.case(f"S5.shape/{name}", script, shape=odd)
    if not matrix and takes(make.claims.K, (2, 3, 2, 2)):
        script = make.script("kernel", shape=(2, 3, 2, 2)).random(3)
        yield make.case("S5.shape/kernel", script, shape=(2, 3, 2, 2))
    case = make.case("S3.step/from_zero", make.script("from zero").random(3))
    yield replace(case, x0=tuple(0.0 if i % 2 else v for i, v in enumerate(case.x0)))


def _rates(make: Maker) -> Iterator[Case]:
    jumps = [0.1, 0.0005, 0.2, 0.001, 0.05, 0.0002, 0.1, 0.3]
    script = make.script("jumps").random(1).probe(0.5).random(1).probe(*PROBES[:2]).random(1).probe(*PROBES[1:3])
    fixed = make.decay == "fixed"
    yield make.case("S5.rate/jumps", script, jumps, 0.02 if fixed else 0.4, scheduled=True)
    wd = 0.0 if fixed else 0.4
    script = make.script("pause").random(2).random(2).probe(*PROBES[:2])
    yield make.case("S5.pause/middle", script, [0.05, 0.04, 0.0, 0.0, 0.04, 0.02], wd, scheduled=True)


def _thousands(make: Maker) -> Case:
    """A cycle of gradients whose probes meet the momentum that the cycle itself tends to."""

    def cycle(m: list[float]) -> Script:
        script = make.script("thousands", shape=(8,))
        script.m = list(m)
        for i in range(ROWS // 3):
            script.random(2).probe(PROBES[i % 3])
        return script.random(ROWS - len(script.grads))

    m = [0.0] * 8
    for _ in range(40):
        m = cycle(m).m
    more: dict[str, Any] = {"shape": (8,), "repeat": LONG // ROWS}
    return make.case("S5.long/thousands", cycle(m), lr=0.02, wd=0.5, **more)


def _counts(make: Maker) -> Case:
    """A schedule that goes on falling, past the counts that eight bits hold."""
    script = make.script("counts", shape=(8,)).random(ROWS)
    script.grads *= COUNTS // ROWS
    rates = [0.1 * 0.99**t for t in range(len(script.grads))]
    wd = {"fixed": 0.02, "lr_ratio": 0.04}.get(make.decay, 0.5)
    return make.case("S5.long/schedule", script, rates, wd, shape=(8,), scheduled=True)
