"""Saving and loading: what goes on, what is brought back, and from where."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..specification.cases import Case, Rates
from ..specification.maker import WIDE, Maker
from ..specification.port import Port, each_parameter
from . import hypotheses
from .held import done_to, held
from .pairs import arrays, most, start, steps, stored, two
from .trace import read, same

_RATES = Rates((0.05, 0.04, 0.03, 0.02, 0.01, 0.005))


#: What explains the run of a parameter (which of them, x after each step) after loading; "" if nothing is known.
Why = Callable[[int, list[Any]], str]


def _compared(goes_on: list[Any], resumed: list[Any], first: int, what: str, why: Why) -> str:
    for t, (a, b) in enumerate(zip(goes_on, resumed, strict=True)):
        for i, (p, q) in enumerate(zip(*(v if isinstance(v, list) else [v] for v in (a, b)), strict=True)):
            if not same(p, q):
                whose = f", of parameter {i}," if isinstance(a, list) else ""
                seen = [x[i] if isinstance(x, list) else x for x in resumed]
                text = f"step {first + t} {what} is another one than without: x{whose} differs by {most(p, q)}"
                return why(i, seen) + text
    return ""


def _why(
    port: Port,
    case: Case,
    x: Any,
    grads: list[Any],
    split: int,
    made: Callable[[], Any],
    rates: tuple[float, ...] = (),
    there: Any = (),
    saved_first: int = 0,
) -> Why:
    """What explains what was seen after loading at step ``split``: the momentum, which is measured, or a setting.
    ``made``: makes and loads the optimizer once more; ``there``: gradients of before it; ``saved_first``: the step at
    which it was saved already.
    """
    K = port.capabilities.K

    def why(i: int, seen: list[Any]) -> str:
        if case.dtype not in WIDE:
            return ""
        several = isinstance(x, list)
        columns = list(zip(*grads, strict=True)) if several else [grads]
        own, start_x = columns[i], x[i] if several else x
        watched = hypotheses.Watched(case, start_x, own[split:], seen, rates[split:])
        m, earlier = (hypotheses.momentum(case, own[:n], start_x) for n in (split, split - 1))
        others = {"that of one step before": earlier}
        others |= {
            f"that of parameter {k}": hypotheses.momentum(case, c[:split], x[k])
            for k, c in enumerate(columns)
            if k != i
        }
        if saved_first:
            others["that of the first save"] = hypotheses.momentum(case, own[:saved_first], start_x)
        if there:
            others["that which was there"] = hypotheses.momentum(case, there, start_x)
        anew = replace(watched, rates=rates[: len(seen)])
        for begins, what in ((m, "the count of steps begins"), (0 * m, "the momentum and the count of steps begin")):
            if rates and hypotheses.follows(K, anew, begins):
                return f"after loading {what} anew; "
        for k, lr in enumerate(rates):
            if hypotheses.follows(K, replace(watched, rates=(lr,) * len(seen)), m):
                return f"after loading the learning rate stays that of step {k}, whatever its groups are given; "
        usual = {"0.9 and 0.99": replace(case, betas=(0.9, 0.99)), "0": replace(case, weight_decay=0.0)}
        usual["exchanged"] = replace(case, betas=case.betas[::-1])
        lr = (rates[split:] or case.lr)[0]
        kept = held(port.capabilities, made, case, grads[split], i if several else None, -m, lr)
        if found := hypotheses.settings(K, watched, usual, m, kept):
            return f"after loading {found}"
        if kept is None:
            others = {"0": 0 * m, **others}
            found = next(
                (f"is {words}" for words, other in others.items() if hypotheses.follows(K, watched, other)), ""
            )
        else:
            found = done_to(kept, -m, case, {words: -other for words, other in others.items()})
        return f"after loading the momentum {found}; " if found else ""

    return why


def _left(handle: Any, case: Case, grads: list[Any], split: int) -> tuple[Any, Any, list[Any]]:
    """State and x of an optimizer after ``split`` of the gradients, and its x after each of the others."""
    steps(handle, grads[:split])
    saved = copy.deepcopy(handle.state())
    x = each_parameter(handle.x, lambda v: stored(read(v), case.dtype))
    return saved, x, steps(handle, grads[split:])


def _loaded(port: Port, case: Case, x: Any, saved: Any, there: Any = (), **hyper: Any) -> Callable[[], Any]:
    """Makes an optimizer, at x, with a state that was saved. ``there``: gradients of steps that it has made before."""

    def made() -> Any:
        handle = start(port, case, case.array(tuple(-v for v in case.x0)) if there else x, **hyper)
        steps(handle, there)
        handle.load(copy.deepcopy(saved))
        if there:
            handle.write(x)
        return handle

    return made


def resume(port: Port, case: Case, split: int = 3) -> str:
    grads = arrays(case)
    rate = {"lr": _RATES} if port.capabilities.schedule else {}
    saved, x, goes_on = _left(start(port, case, case.array(case.x0), **rate), case, grads, split)
    made = _loaded(port, case, x, saved, **rate)
    why = _why(port, case, x, grads, split, made, tuple(map(_RATES, range(len(grads)))) if rate else ())
    return _compared(goes_on, steps(made(), grads[split:]), split, "after loading", why)


def early(port: Port, case: Case) -> str:
    return resume(port, case, 1)


def again(port: Port, case: Case) -> str:
    """Saved a second time, as every training does: what is saved is the state of then, and saving changes nothing."""
    grads = arrays(case)
    plain = steps(start(port, case, case.array(case.x0)), grads)
    handle = start(port, case, case.array(case.x0))
    steps(handle, grads[:1])
    handle.state()
    saved, x, goes_on = _left(handle, case, grads[1:], 2)
    if wrong := _compared(plain[3:], goes_on, 3, "of an optimizer that was saved", lambda *_: ""):
        return f"saving changes the optimizer: {wrong}"
    made = _loaded(port, case, x, saved)
    why = _why(port, case, x, grads, 3, made, saved_first=1)
    return _compared(goes_on, steps(made(), grads[3:]), 3, "after loading what was saved at a second time", why)


def narrow(port: Port, case: Case) -> str:
    """In 16 bits, where a port may keep more than the parameter; not of a port that rounds at random."""
    runs = [steps(start(port, case, case.array(case.x0)), arrays(case)) for _ in range(2)]
    if not all(map(same, *runs)):
        raise NotImplementedError("two runs of the same inputs differ in 16 bits, so that none can be gone on with")
    wrong = resume(port, case)
    kept = "the checkpoint does not bring back all that there is: a state of more bits, or a master copy of x; "
    return kept + wrong if wrong else ""


def twice(port: Port, case: Case) -> str:
    """The same saved state into two optimizers: the first loading must leave it whole."""
    grads = arrays(case)
    saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)

    def made() -> Any:
        first, second, state = start(port, case, x), start(port, case, x), copy.deepcopy(saved)
        first.load(state)
        second.load(state)
        return second

    what = "after loading a state that another optimizer has loaded"
    return _compared(goes_on, steps(made(), grads[3:]), 3, what, _why(port, case, x, grads, 3, made))


def back(port: Port, case: Case) -> str:
    """Rolled back: a state of before into the optimizer that went on."""
    grads = arrays(case)
    _, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)

    def made() -> Any:
        handle = start(port, case, case.array(case.x0))
        own, *_ = _left(handle, case, grads, 3)
        handle.load(copy.deepcopy(own))
        handle.write(x)
        return handle

    why = _why(port, case, x, grads, 3, made, there=grads)
    return _compared(goes_on, steps(made(), grads[3:]), 3, "after rolling back", why)


def late(port: Port, case: Case) -> str:
    """Loaded into an optimizer that has made steps of its own."""
    grads = arrays(case)
    saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)
    turned = [-g for g in grads[:2]]
    made = _loaded(port, case, x, saved, turned)
    what, why = "after loading into an optimizer that has made steps", _why(port, case, x, grads, 3, made, there=turned)
    return _compared(goes_on, steps(made(), grads[3:]), 3, what, why)


def fresh(port: Port, case: Case) -> str:
    """The state of an optimizer that has made no step yet, loaded into one that has."""
    grads = arrays(case)
    saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 0)
    turned = [-g for g in grads[:2]]
    made = _loaded(port, case, x, saved, turned)
    what = "after loading the state of a fresh optimizer into one that has made steps"
    return _compared(goes_on, steps(made(), grads), 0, what, _why(port, case, x, grads, 0, made, there=turned))


def values(port: Port, case: Case) -> str:
    """Into an optimizer that was made with other hyper-parameters."""
    grads = arrays(case)
    betas = Maker(port.capabilities, case.dtype).betas(0.5, 0.75)
    for name, other in (("lr", {"lr": 0.01}), ("weight_decay", {"weight_decay": 0.05}), ("betas", {"betas": betas})):
        saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)
        made = _loaded(port, case, x, saved, **other)
        why, what = _why(port, case, x, grads, 3, made), f"after loading over another {name}"
        if wrong := _compared(goes_on, steps(made(), grads[3:]), 3, what, why):
            return f"loading does not bring back {name}: {wrong}"
    return ""


def of_groups(port: Port, case: Case) -> str:
    """The hyper-parameters of each group."""
    x, grads = two(case)
    own: list[dict[str, Any]] = [{"lr": 0.05, "weight_decay": 0.5}, {"lr": 0.05, "weight_decay": 0.1}]
    if case.decay not in ("lr_ratio", "lr2_max"):
        own[1]["lr"] = 0.02
    saved, x, goes_on = _left(start(port, case, x, groups=own), case, grads, 3)
    again = _loaded(port, case, x, saved, groups=own[::-1])
    cases = [replace(case, weight_decay=o["weight_decay"], lr=(o["lr"],) * len(case.lr)) for o in own]

    def why(i: int, seen: list[Any]) -> str:
        of = [g[i] for g in grads]
        watched = hypotheses.Watched(cases[i], x[i], of[3:], seen)
        made, m = {"those that it was made with": cases[1 - i]}, hypotheses.momentum(case, of[:3], x[i])
        found = hypotheses.settings(port.capabilities.K, watched, made, m)
        return f"after loading, of group {i} {found}" if found else _why(port, cases[i], x, grads, 3, again)(i, seen)

    return _compared(goes_on, steps(again(), grads[3:]), 3, "after loading over other groups", why)


def sparse(port: Port, case: Case) -> str:
    """The first of two parameters had no gradient, and so perhaps no state, when it was saved."""
    x, grads = two(case)
    given = [[None if t < 3 else g[0], g[1]] for t, g in enumerate(grads)]
    saved, x, goes_on = _left(start(port, case, x), case, given, 3)
    made = _loaded(port, case, x, saved)
    return _compared(goes_on, steps(made(), given[3:]), 3, "after loading", _why(port, case, x, given, 3, made))
