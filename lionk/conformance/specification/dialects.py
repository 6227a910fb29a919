"""Dialects: named variants of the specification. A port that declares one is judged in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...arrays.newton_schulz import SETS
from ...arrays.shape_factor import LONGER, MATCHED, NONE, ORIGINAL, RATIO, ShapeFactor
from .port import Capabilities


@dataclass(frozen=True)
class Dialect:
    """What it is, the claims that make it, and the known mistakes that are it where another dialect is declared."""

    says: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()


def _decay(name: str) -> dict[str, Any]:
    return {"K": "l1", "decays": {name: {}}}


#: The error of a direction by a set of Newton-Schulz that is run in bfloat16: torch.optim.Muon has up to 0.074.
_BFLOAT16 = 0.1


def _error(name: str) -> float:
    """That of a port of a set. Published code of Polar Express divides by 1.01 |X|_F, where the set here divides by
    |X|_F: its curve is not monotone, so that singular values then differ by up to the width of its range.
    """
    width = SETS[name].reach - SETS[name].least
    return max(_BFLOAT16, round(width, 3)) if name.startswith("polar_express") else _BFLOAT16


#: By name; a port's own is the first whose claims it has.
DIALECTS: dict[str, Dialect] = {
    "lion-cautious": Dialect(
        "the entries of the direction that go up for the present gradient are 0", {"cautious": "mask"}, ("cautious",)
    ),
    "lion-cautious-rescaled": Dialect(
        "as lion-cautious, divided by the share of entries that is left",
        {"cautious": "rescale"},
        ("cautious_normalised",),
    ),
    "lion-cautious-decay": Dialect(
        "decay only where it goes the way of the direction", {"cautious_decay": True}, ("cautious_decay",)
    ),
    "lion-maximize": Dialect("it goes up: the gradient is that of minus f", {"maximize": True}, ("ascent",)),
    "lion-8bit": Dialect(
        "a momentum of 8 bits, right to 1/128 of its largest entry after each step",
        {"state_error": 2.0**-7},
        ("momentum_in_8_bits",),
    ),
    "lion-coupled": Dialect("wd x is added to the gradient (L2)", _decay("coupled"), ("coupled_decay",)),
    "lion-ratio": Dialect("decay by wd lr/lr(0)", _decay("lr_ratio")),
    "lion-corrected": Dialect("decay by wd lr^2/lr(0)", _decay("lr2_max")),
    "lion-palm": Dialect("decay by wd lr^2", _decay("palm"), ("decay_lr_squared",)),
    "lion-fixed": Dialect("decay by wd, without the rate", _decay("fixed"), ("decay_without_lr",)),
    "signum": Dialect(
        "one beta for readout and state", {"K": "l1", "betas": "equal"}, ("state_as_readout", "one_beta")
    ),
    "lion-nesterov": Dialect("Nesterov's spelling, one beta: b1 = beta^2, b2 = beta", {"K": "l1", "betas": "nesterov"}),
    **{
        f"muon-{name.replace('_', '-')}": Dialect(
            f"the polar factor by the published set {name} of Newton-Schulz, to {_error(name):g}, Nesterov's spelling",
            {"K": {"name": "muon", "polar": name}, "betas": "nesterov", "accuracy": _error(name)},
        )
        for name in SETS
    },
    "muon-heads": Dialect(
        "a polar factor for each of two heads of rows (more by --k muon:heads=N)",
        {"K": {"name": "muon", "heads": 2}, "betas": "nesterov", "accuracy": 0.35},
    ),
    "muon-fused": Dialect(
        "a polar factor for each of three fused projections of rows (more by --k muon:sections=N)",
        {"K": {"name": "muon", "sections": 3}, "betas": "nesterov", "accuracy": 0.35},
    ),
    "muon": Dialect(
        "the polar factor by the quintic of Newton-Schulz, singular values in [0.68, 1.20], Nesterov's spelling",
        {"K": "muon", "betas": "nesterov", "accuracy": 0.35},
        ("newton_schulz",),
    ),
    "lion": Dialect("Lion: the sign, with b1 and b2 apart, and decay by lr wd", _decay("lr_wd") | {"betas": "free"}),
    "lion-k": Dialect("Lion-K: the stated subgradient of another convex function K"),
}
#: What ports of Muon multiply the polar factor by.
FACTORS: dict[str, ShapeFactor] = {
    "1": NONE,
    "sqrt(max(1, rows/cols))": ORIGINAL,
    "sqrt(max(1, cols/rows))": ShapeFactor(rows=-0.5, cols=0.5, at_least=1.0),
    "1/sqrt(max(1, rows/cols))": ShapeFactor(rows=0.5, cols=-0.5, at_least=1.0, inverse=True),
    "max(1, rows/cols)": ShapeFactor(rows=1.0, cols=-1.0, at_least=1.0),
    "max(1, cols/rows)": ShapeFactor(rows=-1.0, cols=1.0, at_least=1.0),
    "sqrt(rows/cols)": RATIO,
    "sqrt(cols/rows)": ShapeFactor(rows=-0.5, cols=0.5),
    "rows/cols": ShapeFactor(rows=1.0, cols=-1.0),
    "cols/rows": ShapeFactor(rows=-1.0, cols=1.0),
    "sqrt(max(rows, cols)/min(rows, cols))": ShapeFactor(rows=-0.5, cols=-0.5, longer=1.0),
    "sqrt(max(rows, cols))": LONGER,
    "0.2 sqrt(max(rows, cols))": MATCHED,
    "sqrt(min(rows, cols))": ShapeFactor(rows=0.5, cols=0.5, longer=-0.5),
    "sqrt(rows cols)": ShapeFactor(rows=0.5, cols=0.5),
    "max(rows, cols)": ShapeFactor(longer=1.0),
}
#: What a dialect of Muon says otherwise, each word after a "+", as in muon-quintic+plain+ratio: one of ``FACTORS``.
SCALES = {
    "original": "sqrt(max(1, rows/cols))",
    "rms": "0.2 sqrt(max(rows, cols))",
    "unscaled": "1",
    "ratio": "sqrt(rows/cols)",
    "longer": "sqrt(max(rows, cols))",
}
#: Its claims, what they are in words, and the decay of ``lionk.conventions``.
TURNS: dict[str, tuple[dict[str, Any], str, str]] = {
    "plain": ({"betas": "equal"}, "no Nesterov", ""),
    "palm": ({"decays": {"palm": {}}}, "decay by wd lr^2", "palm"),
    "fixed": ({"decays": {"fixed": {}}}, "decay by wd, without the rate", "independent"),
}
#: Algorithms that have no table here, by the known mistakes that they are.
OTHERS = {
    "cautious, divided by another share": ("cautious_rescaled",),
    "Adam": ("adam",),
}


def in_dialect(claims: Capabilities, name: str) -> Capabilities:
    """The claims of a port that declares this dialect: one of ``DIALECTS``, one of Muon with words of ``SCALES`` and
    ``TURNS`` after it, each behind a "+". Raises ValueError for another name.

    A K that was asked for stays, unless it is that of the dialect with nothing said of its parameters.
    """
    base, *turns = name.split("+")
    if base not in DIALECTS:
        raise ValueError(f"there is no dialect {base!r}; there are {', '.join(DIALECTS)}")
    wanted = dict(DIALECTS[base].claims)
    own = wanted.get("K")
    bare = claims.K in ("l1", own["name"] if isinstance(own, Mapping) else own)
    for turn in turns:
        if not base.startswith("muon") or turn not in (*SCALES, *TURNS):
            raise ValueError(
                f"dialect {name!r}: only those of Muon take words after a +, and the words are "
                f"{', '.join((*SCALES, *TURNS))}"
            )
        wanted |= TURNS[turn][0] if turn in TURNS else {"K": _scaled(own, FACTORS[SCALES[turn]], name)}
    if not bare:
        wanted.pop("K", None)
    return replace(claims, **wanted)


def _scaled(K: Any, scale: ShapeFactor, name: str) -> Any:
    """The spec of Muon's K by another scale."""
    from ...functions.named.algorithms import nuclear

    more = dict(K) if isinstance(K, Mapping) else {}
    if "heads" in more or "sections" in more:
        raise ValueError(f"dialect {name!r}: scales are those of whole matrices; name the K with --k")
    return nuclear(scale, more.get("polar", "svd")).spec


def muons(claims: Capabilities) -> Iterator[tuple[str, Capabilities]]:
    """Every published spelling of Muon, ``(dialect, claims of a port that declares it)``: those with the fewest words
    first, and of these what the port declares.
    """
    sets = sorted((n for n in DIALECTS if n.startswith("muon") and n != "muon-fused"), key=lambda n: n == "muon")
    decays = claims.decays if set(claims.decays) & {"lr_wd", "none"} else {"lr_wd": {}}
    bare = replace(claims, K="l1", accuracy=0.0, decays=decays)
    words = [("", *SCALES), ("", "plain"), ("", "palm", "fixed")]
    turned = sorted(itertools.product(*words), key=lambda turns: sum(map(bool, turns)))
    for turns, base in itertools.product(turned, sets):
        if (claims.betas == "free" and "plain" in turns) or (turns[0] and base == "muon-heads"):
            continue
        name = "+".join([base, *filter(None, turns)])
        yield name, in_dialect(bare, name)


def libraries_of(name: str) -> str:
    """Which libraries spell Muon so, and what that is: "timm.muon spells it (no Nesterov)"."""
    from ...conventions.libraries import LIBRARIES, alike

    base, *turns = name.split("+")
    scale, decay = FACTORS[SCALES[next((t for t in turns if t in SCALES), "original")]], "decoupled"
    words = [DIALECTS[base].says.removesuffix(", Nesterov's spelling")]
    for t in turns:
        words.append(TURNS[t][1] if t in TURNS else f"times {SCALES[t]}")
        decay = TURNS[t][2] if t in TURNS and TURNS[t][2] else decay
    known = [
        n
        for n, of in LIBRARIES.items()
        if of.kind == "muon"
        and (scale in of.scales or any(alike(scale, f) for f in of.free))
        and (decay == "decoupled" or "weight_decay_method" in of.defaults)
    ]
    shown = " and ".join(filter(None, (", ".join(known[:-1]), *known[-1:]))) or "none of the known libraries"
    return f"{shown} spell{'s' * (len(known) < 2)} it ({', '.join(words)})"


def spoken(claims: Capabilities, mistakes: list[str], spelled: str = "") -> dict[str, str]:
    """The dialect that a port was judged in, and which one its known mistakes look like, or all of its directions."""

    def has(wanted: Mapping[str, Any]) -> bool:
        return all(
            set(claims.decays) == set(v) if k == "decays" else getattr(claims, k) == v for k, v in wanted.items()
        )

    name = next(n for n, d in DIALECTS.items() if has(d.claims))
    if name == "lion-k" and claims.accuracy:
        name = next((n for n, of in muons(claims) if of == claims), name)
    if spelled:
        return {"name": name, "says": f"it looks like {spelled}: {libraries_of(spelled)}"}
    for other, dialect in DIALECTS.items():
        if other != name and set(dialect.mistakes) & set(mistakes):
            return {"name": name, "says": f"it looks like {other} ({dialect.says}): --dialect {other} judges it so"}
    for other, names in OTHERS.items():
        if set(names) & set(mistakes):
            return {"name": name, "says": f"it looks like {other}, another algorithm, which has no table here"}
    return {"name": name, "says": DIALECTS[name].says if name in DIALECTS else libraries_of(name)}
