"""As whom a port spells Muon: which published dialect explains all that it does, where it breaks that it declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..report.results import Report
from ..specification.cases import Case, function_of
from ..specification.dialects import in_dialect, libraries_of, muons
from ..specification.families import cases
from ..specification.maker import betas_for, takes, widest
from ..specification.port import Capabilities, Port, With
from .comparator import judge_step
from .reference import follow
from .trace import Trace, run

#: Those that tell the most first: of shapes whose scales differ, and of several signs.
_FIRST = ("S5.shape/", "S4.", "S1.", "S3.")


def spelled(port: Port, judge: Callable[..., Report]) -> tuple[str, str]:
    """``(dialect, sentence)`` of the nearest Muon that explains every direction of the port, and as which it passes;
    ("", "") if there is none. ``judge``: that of the kit.
    """
    claims = port.capabilities
    dtype = widest(claims)
    if dtype is None or claims.betas == "none" or not set(claims.decays) & {"lr_wd", "none"}:
        return "", ""
    bare = replace(claims, K="l1", dtypes=(dtype,), accuracy=0.0)
    asked = [c for c in cases(in_dialect(bare, "muon"), 1) if c.id.startswith(_FIRST)]
    asked.sort(key=lambda c: next(i for i, begin in enumerate(_FIRST) if c.id.startswith(begin)))
    try:
        runs = [(c, run(port, c)) for c in asked]
    except Exception:  # whatever the port raises has its own verdict
        return "", ""
    for name, of in muons(claims):
        if of != claims and _explains(of, runs) and judge(With(port, of, {}), 0, None, "S", (), False, None).passed:
            return name, f"this is Muon as {libraries_of(name)}: --dialect {name} judges it so"
    return "", ""


def _explains(claims: Capabilities, runs: Sequence[tuple[Case, Trace]]) -> bool:
    decay = next(iter(claims.decays))
    for case, trace in runs:
        if not takes(claims.K, case.shape):
            continue
        K, betas = function_of(claims.K, case.shape), betas_for(claims, *case.betas)
        own = replace(case, betas=betas, decay=decay if case.weight_decay else case.decay)
        for point, after in follow(own, trace.xs):
            found = judge_step(own, K, point, after, claims.accuracy)
            if found is not None and not found.advice:
                return False
    return True
