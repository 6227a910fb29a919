"""Runs with full gradients: the bounds of all groups together, and the sums beside the momentum, in the first group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch

import lionk
from lionk.optimizer.variants import Variant
from lionk.theory.account import Account, Bounds

from ..distributed import sharded
from . import options
from .known import Known, moments
from .step import gradient

KEY = "account"  # of the first group: an ``Account`` in plain numbers, so that a state_dict and a copy hold it


class Point(NamedTuple):
    """Where a group is before its step: how it steps, and its parameters that have a gradient, with their momenta."""

    method: Variant
    x: list[torch.Tensor]
    m: list[torch.Tensor]
    grad: list[torch.Tensor]


def stepped(groups: list[dict[str, Any]]) -> None:
    """After a step: that it was made, whether or not its gradient was looked at."""
    if groups and KEY in groups[0]:
        groups[0][KEY]["steps"] += 1


def bounds(groups: list[dict[str, Any]], points: list[Point], f: Any, convex: bool | None) -> Bounds:
    """The bounds of ``F = f + sum_g K_g*(lam_g x_g)/lam_g``, over the parameters that have a gradient.

    That is ``f + K*(x)`` of the blocks ``K_g/lam_g``. Where a group has no decay there is no bound.
    """
    if not points:
        raise ValueError("no parameter has a gradient: call certificate(f) after backward, and before step")
    methods, *arrays = map(list, zip(*points, strict=True))
    x, m, grad = arrays
    lams = [float(method.weight_decay) for method in methods]
    bounded = all(lam > 0 for lam in lams)
    scaled = zip(methods, lams, strict=True)
    K = lionk.blocks([method.K.scale(1 / lam) if bounded else method.K for method, lam in scaled])
    opt = lionk.LionK(K, 0.0, methods[0].betas, 1.0 if bounded else 0.0)

    entries = sum(a.numel() for part in x for a in part)
    kept = {"steps": 0, "entries": entries, **groups[0].get(KEY, {})}
    steps, before = kept.pop("steps"), kept.pop("entries")
    why = _why_none(groups, methods)
    if entries != before:
        why = f"{entries} entries of the parameters have a gradient, and before there were {before}"
    account = Account(**kept)
    value = float(f.detach() if isinstance(f, torch.Tensor) else f)
    found = account.observe(opt, -value if methods[0].maximize else value, x, grad, m, steps, convex=convex, why=why)
    groups[0][KEY] = {"steps": steps, "entries": before, **asdict(account)}
    return found


def points(known: Known, groups: list[dict[str, Any]], states: Any) -> Iterator[Point]:
    """The point of each group that has gradients. Sharded parameters are gathered."""
    for group in groups:
        params = [p for p in group["params"] if p.grad is not None]
        if params:
            method = known.make(group).method
            x = [sharded.whole(p.detach()) for p in params]
            m = list(map(sharded.whole, moments(params, states, method)))
            g = [sharded.whole(method.gradient(p, gradient(p), group["weight_decay"])) for p in params]
            if group["complex_as_real"]:
                x, m, g = ([torch.view_as_real(a) if a.is_complex() else a for a in part] for part in (x, m, g))
            lam = options.decay_of(group)
            yield Point(replace(method, lr=options.number(group, "lr"), weight_decay=lam), x, m, g)


def _why_none(groups: list[dict[str, Any]], methods: list[Variant]) -> str:
    """Why the momenta are no average of the gradients of one f with the same weights, if so."""
    if len({method.betas[1] for method in methods}) > 1:
        return "the groups have several second betas, so that their momenta have other weights"
    if len({method.maximize for method in methods}) > 1:
        return "some groups maximize and others do not"
    for option in ("mars", "exchange"):
        if any(group[option] for group in groups):
            return f"with {option} the momentum averages something else than the gradients"
    return ""
