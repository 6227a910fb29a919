"""Steps that are more than a call of the runner: sharded or rounded parameters, MARS, votes, pairs for complex."""

from __future__ import annotations

from collections.abc import Collection
from operator import is_
from typing import Any, NamedTuple

import array_api_compat.torch as xp
import torch

import lionk
from lionk.backend.protocol import Runner
from lionk.optimizer.rounding import KEYS
from lionk.optimizer.rounding import index as _index
from lionk.optimizer.variants import Variant

from ..distributed import exchange as exchanges
from ..distributed import sharded
from . import rounding as roundings
from .rows import Row, last_gradient


class Made(NamedTuple):
    """What a group's options were compiled to, and the options, to see whether they changed."""

    K: Any
    rest: tuple[Any, ...]
    method: Variant
    run: Runner
    plain: bool  # is a step a call of the runner, and nothing else?
    beside: dict[bool, tuple[Variant, Any]]  # the method with what is beside x and m, and its runner; True: of 16 bits
    alone: bool  # does a step of whole tensors need nothing else than these runners?


class Seen(NamedTuple):
    """What was found of a group's tensors, which are mostly the same at the next step."""

    given: list[torch.Tensor]  # all parameters of the group
    stepped: list[bool]  # is each of them stepped?
    numbers: list[int]  # which of them are stepped
    params: list[torch.Tensor]
    states: list[dict[str, Any]]
    moments: list[torch.Tensor]
    pieces: bool  # is one of them sharded?
    low: list[bool]  # have they 16 bits?
    starts: list[int]  # how many entries the parameters of the group before each have
    entries: int  # of all of them


def rows_of(group: dict[str, Any], seen: Seen, place: int) -> list[Row]:
    """The tensors of each parameter that is stepped; of sharded ones, the pieces that are here."""
    rows = []
    for k, (p, moment, state) in enumerate(zip(seen.params, seen.moments, seen.states, strict=True)):
        x, m, grad = (sharded.local(a, p) for a in (p.detach(), moment, gradient(p)))
        last = last_gradient(p, grad, state) if group["mars"] else None
        if group["complex_as_real"] and x.is_complex():
            x, m, grad = (torch.view_as_real(a.resolve_conj()) for a in (x, m, grad))
            last = None if last is None else torch.view_as_real(last)
        beside = roundings.begin(p, x, state, group["rounding"], group["seed"], place + seen.starts[k])
        index, keys = None, tuple(beside[name] for name in KEYS if name in beside)
        if keys:
            index = sharded.places(p, beside["index"]) if sharded.is_sharded(p) else _index(xp, beside["index"], x)
        rows.append(Row(k, x, m, grad, last, beside.get("low"), index, keys))
    return rows


def make_beside(
    made: Made, seen: Seen, group: dict[str, Any], grads: list[torch.Tensor], place: int, lr: Any, lam: Any
) -> None:
    """The step of whole tensors with MARS and rounding: a call of the runner for those of 16 bits, and for the rest.

    A parameter that had no gradient at an earlier step has random numbers of another step, and a call of its own.
    """
    calls: dict[Any, list[int]] = {}
    given: list[dict[str, Any]] = []
    for k, (p, state) in enumerate(zip(seen.params, seen.states, strict=True)):
        beside = roundings.begin(p, p, state, group["rounding"], group["seed"], place + seen.starts[k])
        if group["mars"]:
            beside["last"] = last_gradient(p, grads[k], state)
        given.append(beside)
        calls.setdefault((seen.low[k], *(beside.get(key) for key in KEYS)), []).append(k)
    for (low, *keys), some in calls.items():
        method, run = made.beside[low]
        beside = {name: [given[k][name] for k in some] for name in method.beside}
        beside |= {} if None in keys else dict(zip(KEYS, keys, strict=True))
        params, moments = [seen.params[k] for k in some], [seen.moments[k] for k in some]
        x, m = run(list(params), list(moments), [grads[k] for k in some], lr=lr, weight_decay=lam, beside=beside)
        store(moments, m)
        store(params, x)


def make(
    group: dict[str, Any],
    made: Made,
    seen: Seen,
    rows: list[Row],
    lr: Any,
    lam: Any,
    process_group: Any,
    agreed: set[int],
) -> None:
    """The step of some tensors, with its rounding; of all, unless single entries need nothing of the others.

    ``agreed``: the groups whose parameters were found to be the same at all workers.
    """
    method, params = made.method, [seen.params[row.number] for row in rows]
    moments, grads = [row.m for row in rows], [row.grad for row in rows]
    values = [row.widened() for row in rows]
    given = [values, moments, grads]
    functions = sharded.functions(method, params, given, lam) if seen.pieces else [method.K] * len(params)
    if group["exchange"]:
        if id(group) not in agreed:
            exchanges.check_same(values, process_group)
            agreed.add(id(group))
        functions = [exchanges.Exchanged(f, method.K, group["exchange"], process_group) for f in functions]
        exchanges.step(method, functions, given, lr, lam)
        x, m = values, moments
    elif method.K.traits.structure == "coupled":
        if seen.pieces:
            raise lionk.NotAvailable(
                "K couples the parameters of a group by their norms, and some of them are sharded: shard the batch "
                "instead (DistributedDataParallel), or give each parameter a K of its own"
            )
        functions = method.function_of_each(values, moments, grads, lam)
        x, m = one_by_one(method, functions, params, given, lr, lam)
    elif any(f is not method.K for f in functions) or (seen.pieces and method.whole):
        x, m = one_by_one(method, functions, params, given, lr, lam)
    else:
        x, m = made.run(*map(list, given), lr=lr, weight_decay=lam)  # lists of its own: they are consumed
    store(moments, m)
    for row, new in zip(rows, x, strict=True):
        if row.low is None and row.index is None:
            store([row.x], [new])  # which shares its memory with the parameter
        else:
            row.narrowed(new)


def gradient(p: torch.Tensor) -> torch.Tensor:
    g = torch.zeros_like(p.detach()) if p.grad is None else p.grad
    if g.layout != torch.strided:
        raise sparse(g)
    return g


def one_by_one(method: Variant, functions: list[Any], params: list[Any], given: list[Any], lr: Any, lam: Any) -> Any:
    done = [
        method.update(a, m, g, lr, lam, K=k, mean=sharded.mean(p), norm=sharded.norm_of(p))
        for a, m, g, k, p in zip(*given, functions, params, strict=True)
    ]
    return [a for a, _ in done], [m for _, m in done]


def sparse(g: torch.Tensor) -> RuntimeError:
    return RuntimeError(
        f"LionK does not take sparse gradients (a parameter of shape {tuple(g.shape)} has one): the "
        "momentum is dense. Make the layer dense (torch.nn.Embedding(..., sparse=False)), or give it to "
        "torch.optim.SparseAdam"
    )


def same(a: Collection[Any], b: Collection[Any]) -> bool:
    return len(a) == len(b) and all(map(is_, a, b))


def store(kept: list[torch.Tensor], new: list[torch.Tensor]) -> None:
    """The results of a step in the tensors that the user holds, unless they were written there."""
    if not same(kept, new):
        for a, b in zip(kept, new, strict=True):
            if a is not b:
                a.copy_(b)
