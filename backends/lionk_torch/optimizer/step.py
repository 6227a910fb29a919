"""The step of a group: a call of the runner, or more, for sharded or rounded parameters, MARS, votes, complex pairs."""

from __future__ import annotations

from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import Any

import array_api_compat.torch as xp
import torch

import lionk
from lionk.optimizer.rounding import KEYS
from lionk.optimizer.rounding import index as _index
from lionk.optimizer.variants import Variant

from ..distributed import exchange as exchanges
from ..distributed import sharded
from . import options
from . import rounding as roundings
from .known import Known, Made, Seen, moments, same
from .rows import Row, last_gradient, mars, tiles

# What is looked at for every parameter at every step, in the fastest way that Python has.
_GRAD, _LAYOUT, _DENSE = attrgetter("grad"), attrgetter("layout"), frozenset({torch.strided})


def step_group(known: Known, group: dict[str, Any], states: Any, place: int, process_group: Any) -> None:
    """The step of one group, ``place`` entries after the first one of the optimizer."""
    made, lr, lam = known.make(group), options.number(group, "lr"), options.decay_of(group)
    made.method.check_product(lr, lam)
    if made.method.coupled:
        lam = options.number(group, "weight_decay")
    every = list(map(_GRAD, group["params"]))
    there = list(map(is_not, every, repeat(None)))
    present = list(compress(every, there))
    seen = known.again(group, there)
    if seen and made.again and known.ran.get(id(group)) is seen and made.again(present, lr, lam):
        return
    if not _DENSE.issuperset(map(_LAYOUT, present)):
        raise sparse(next(g for g in present if g.layout != torch.strided))
    seen = seen or known.look(group, states, made.method, there)
    if not seen.params:
        return
    if len(present) > len(seen.params):  # one is there twice
        present = [every[i] for i in seen.numbers]
    if made.plain and not seen.pieces:
        x, m = made.run(list(seen.params), list(seen.moments), present, lr=lr, weight_decay=lam)
        known.ran[id(group)] = seen
        store(seen.moments, m)
        store(seen.params, x)
        return
    if made.alone and not seen.pieces:
        make_beside(made, seen, group, present, place, lr, lam)
        return
    rows = rows_of(group, seen, place)
    estimate = mars(rows, seen.params, group["betas"][0], group["mars"])
    apart = made.method.K.by_entry and not (made.method.whole or group["exchange"])
    for some in tiles(rows) if apart else [rows]:
        make(group, made, seen, list(map(estimate, some)), lr, lam, process_group, known.agreed)


def sets_up(known: Known, groups: list[dict[str, Any]], states: Any) -> bool:
    """Make the state and no step, if this is no more than that: the first step, with lr = 0 and gradients of 0.

    torch.distributed.checkpoint makes such a step to have tensors to load into. A step that counted it would take
    other random numbers, or zeros for the gradient before, than a run that was not saved.
    """
    there = [(group, p) for group in groups for p in group["params"] if p.grad is not None]
    if not there or not all(map(_is_zero, (group["lr"] for group, _ in there))):
        return False
    if any(p.grad.layout != torch.strided or bool(sharded.whole((p.grad != 0).sum())) for _, p in there):
        return False
    for group, p in there:
        moments([p], states, known.make(group).method)
        here, state = sharded.local(p.detach(), p), states[p]
        roundings.prepare(p, here, state, group["rounding"])
        if group["mars"]:
            state |= {"last_grad": sharded.in_place_of(torch.zeros_like(here), p), "has_last": False}
    return True


def _is_zero(lr: Any) -> bool:
    """Is this learning rate 0? A tensor elsewhere than on the host is not read."""
    if isinstance(lr, torch.Tensor):
        return type(lr) is torch.Tensor and lr.device.type == "cpu" and not lr.item()
    return bool(lr == 0)


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


def store(kept: list[torch.Tensor], new: list[torch.Tensor]) -> None:
    """The results of a step in the tensors that the user holds, unless they were written there."""
    if not same(kept, new):
        for a, b in zip(kept, new, strict=True):
            if a is not b:
                a.copy_(b)
