"""What the optimizer knows of its groups between two steps: how each is stepped, and its tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import accumulate, repeat
from operator import is_
from typing import Any, NamedTuple

import torch

import lionk
from lionk.backend.protocol import Runner
from lionk.optimizer.variants import Variant

from .._backend import TorchBackend
from ..distributed import sharded
from ..runner.run import Steps
from ..runner.small import side_by_side
from . import options
from . import rounding as roundings


class Made(NamedTuple):
    """How a group is stepped, made from its options; and these options, to see whether they have changed."""

    K: Any
    rest: tuple[Any, ...]
    method: Variant
    run: Runner
    again: Callable[..., bool] | None  # the same, of the tensors of its last call
    plain: bool  # is a step a call of the runner, and nothing else?
    beside: dict[bool, tuple[Variant, Any]]  # the method with what is beside x and m, and its runner; True: of 16 bits
    alone: bool  # does a step of whole tensors need nothing else than these runners?


class Seen(NamedTuple):
    """The tensors of a group as they were found at a step. They are mostly the same at the next one."""

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


class Known:
    """What was found of the groups of one optimizer, by their identities. It is found again where it changed."""

    def __init__(self) -> None:
        self.made: dict[int, Made] = {}
        self.seen: dict[int, Seen] = {}
        self.ran: dict[int, Seen] = {}  # the tensors of the last call of a group's runner, if ``again`` is for them
        self.agreed: set[int] = set()  # groups whose parameters were the same at all workers
        self.states: list[Any] = []  # of all parameters, when they were seen

    def make(self, group: dict[str, Any]) -> Made:
        """The method and runner of a group, made anew when its K, betas or decay changed."""
        made = self.made.get(id(group))
        rest = options.COMPILED(group)
        if made and made.K is group["K"] and made.rest == rest:
            return made
        K = lionk.K(group["K"])
        like = next(filter(options.steppable, group["params"]), None)
        if like is not None:
            K = K.to(like=like.detach())
        group["K"] = options.spec(K)
        method = options.method(group, K)
        backend, way = TorchBackend(), {None: None, False: "tiles", True: "compiled"}[group["compile"]]
        run = backend.runner(method, way)
        plain = not group["mars"] and group["rounding"] == "nearest"
        alone = not (group["exchange"] or (group["complex_as_real"] and any(map(torch.is_complex, group["params"]))))
        alone = alone and K.traits.structure != "coupled"
        ways = {} if plain or not alone else options.variants(group, method)
        beside = {low: (variant, backend.runner(variant, way)) for low, variant in ways.items()}
        again = run.again if isinstance(run, Steps) else None
        made = self.made[id(group)] = Made(group["K"], rest, method, run, again, plain and alone, beside, alone)
        return made

    def again(self, group: dict[str, Any], there: list[bool]) -> Seen | None:
        """The tensors of a group as they were found at the last step, if they are the same ones."""
        given, seen = group["params"], self.seen.get(id(group))
        takes_part = [p.requires_grad for p in given] if group["exchange"] else there
        known = seen and seen.stepped == takes_part and same(seen.given, given)
        if seen and known and all(map(is_, seen.moments, map(dict.get, seen.states, repeat("m")))):
            return seen
        return None

    def look(self, group: dict[str, Any], states: Any, method: Variant, there: list[bool]) -> Seen:
        """The tensors of a group. They are looked at only where ``again`` has not found them."""
        given = group["params"]
        takes_part = [p.requires_grad for p in given] if group["exchange"] else there
        numbers = list({p: i for i, p in enumerate(given) if takes_part[i]}.values())
        params = [given[i] for i in numbers]
        kept = moments(params, states, method)
        self.states = []
        ends = list(accumulate(map(torch.Tensor.numel, given), initial=0))
        self.seen[id(group)] = Seen(
            list(given), takes_part, numbers, params, [states[p] for p in params], kept, sharded.some(params),
            list(map(roundings.is_low, params)), [ends[i] for i in numbers], ends[-1],
        )  # fmt: skip
        return self.seen[id(group)]


def moments(params: list[torch.Tensor], states: Any, method: Variant) -> list[torch.Tensor]:
    """The momenta of these parameters. Missing ones are made, small ones side by side, to be stepped as one."""
    own = [states[p] for p in params]
    missing = [i for i, state in enumerate(own) if "m" not in state]
    made = side_by_side([method.init(params[i].detach()).m for i in missing])
    for i, m in zip(missing, made, strict=True):
        own[i]["m"] = m
    return [state["m"] for state in own]


def same(a: Collection[Any], b: Collection[Any]) -> bool:
    return len(a) == len(b) and all(map(is_, a, b))
