"""What a user does around a step: buffers that are used again, closures, edits, options, complex arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..specification.cases import Case, function_of, host
from ..specification.maker import WIDE
from ..specification.port import Port, each_parameter
from .comparator import judge_step
from .pairs import CLOSE, arrays, differs, start, steps, stored, two
from .reference import follow
from .trace import Raised, changed, read, run, same


def again(port: Port, case: Case) -> str:
    a = run(port, case)
    run(port, replace(case, grads=tuple(tuple(-64 * v for v in g) for g in case.grads)))  # which must leave no trace
    b = run(port, case)
    return "" if all(same(p, q) for p, q in zip(a.xs, b.xs, strict=True)) else "two runs of the same inputs differ"


def scale(port: Port, case: Case) -> str:
    """Products with a power of two are exact, so all orders of evaluation give the run of the gradients as they are."""
    flat = replace(case, weight_decay=0.0)
    plain = run(port, flat)
    for power in (40, -40) if case.dtype in WIDE else (4,):  # within the range of float16
        other = run(port, replace(flat, grads=tuple(tuple(2.0**power * v for v in g) for g in case.grads)))
        if found := differs(other.xs, plain.xs, case.dtype):
            return f"step {found[0]} is another one with all gradients times 2^{power}: x differs by {found[1]}"
    return ""


def _reused(handle: Any, grads: list[Any]) -> list[Any]:
    seen = []
    for g in grads:
        handle.reuse(g)
        seen.append(each_parameter(handle.x, read))
    return seen


def reused(port: Port, case: Case) -> str:
    """With b2 = 0, too, where the state is the last gradient, and must not be its memory."""
    grads = arrays(case)
    for b2 in (case.betas[1], *((0.0,) if port.capabilities.betas == "free" else ())):
        own = replace(case, betas=(case.betas[0], b2))
        try:
            fresh = steps(start(port, own, own.array(own.x0)), grads)
        except (ValueError, AssertionError, TypeError):
            if b2:
                raise
            continue  # b2 = 0 is refused, which has its own verdict
        buffered = _reused(start(port, own, own.array(own.x0)), grads)
        if found := differs(buffered, fresh, case.dtype):
            where = "" if b2 else " and b2 = 0"
            return f"step {found[0]} is another one where the gradient's memory is written again{where}: by {found[1]}"
    return ""


def shared(port: Port, case: Case) -> str:
    x, _ = two(case)
    grads = arrays(case)
    together = _reused(start(port, case, x), [[g, g] for g in grads])
    for i in range(2):
        if found := differs([t[i] for t in together], steps(start(port, case, x[i]), grads), case.dtype):
            return f"parameter {i} of two with one gradient array steps otherwise, from step {found[0]}: by {found[1]}"
    return ""


def _judged(port: Port, case: Case, xs: list[Any], what: str, **later: Any) -> str:
    """Against the reference."""
    claims = port.capabilities
    K = function_of(claims.K, case.shape)
    for point, after in follow(case, xs, claims.state_dtype, **later):
        found = judge_step(case, K, point, after, claims.accuracy)
        if found is not None and not found.advice:
            return f"{what}: {found}"
    return ""


def edited(port: Port, case: Case) -> str:
    written: dict[int, Any] = {}
    handle, xs = start(port, case, case.array(case.x0)), []
    for t, g in enumerate(arrays(case)):
        if t in (2, 4):
            written[t] = read(stored(read(handle.x) * -0.5 + 0.25, case.dtype))
            handle.write(stored(written[t], case.dtype))
        xs += steps(handle, [g])
    wrong = _judged(port, case, xs, "x was written by the user before steps 2 and 4", written=written)
    if wrong and not _judged(port, case, xs, ""):
        where = "the step goes on from another copy of it, or has put x into other memory"
        return f"the x that the user writes is not read: {where}; {wrong}"
    return wrong


def settings(port: Port, case: Case) -> str:
    changes: list[dict[str, Any]] = [{"weight_decay": 0.125}, {"weight_decay": 0.0}]
    if port.capabilities.betas == "free":  # b2 stays: a state without the factor 1 - b2 is right, and would change
        changes.append({"betas": (0.5, case.betas[1])})
    if case.decay not in ("lr_ratio", "lr2_max"):
        changes += [{"lr": 0.02}, {"lr": 0.0}]
    for change in changes:
        handle = start(port, case, case.array(case.x0))
        grads = arrays(case)
        xs = steps(handle, grads[:3])
        handle.edit(**change)
        xs += steps(handle, grads[3:])
        ((name, value),) = change.items()
        now = replace(case, **({"lr": (value,) * len(case.lr)} if name == "lr" else change))
        if wrong := _judged(port, case, xs, f"{name} was changed to {value} before step 3", later=(3, now)):
            unread = not _judged(port, case, xs, "")
            return (f"{name} = {value}, set between two steps, is not read; " if unread else "") + wrong
    return ""


def closure(port: Port, case: Case) -> str:
    """Of one parameter, and of two in groups of their own."""
    grads = arrays(case)
    if wrong := _closure(port, case, case.array(case.x0), grads):
        return wrong
    if not (port.capabilities.lists and port.capabilities.groups):
        return ""
    x, given = two(case)
    wrong = _closure(port, case, x, given, groups=[{}, {}])
    return f"with two groups {wrong}" if wrong else ""


def _closure(port: Port, case: Case, x0: Any, grads: list[Any], **more: Any) -> str:
    plain = steps(start(port, case, x0, **more), grads)
    handle, seen = start(port, case, x0, **more), []
    for t, g in enumerate(grads):
        calls, enabled, returned = handle.closure(g)
        if calls != 1:
            return f"step {t} has called its closure {calls} times"
        if not enabled:
            return f"step {t} has called its closure without gradients enabled"
        if not returned:
            return f"step {t} has not returned the value of its closure"
        seen.append(each_parameter(handle.x, read))
    for i, runs in enumerate(_columns(plain)):
        if found := differs(_columns(seen)[i], runs, case.dtype):
            early = steps(start(port, case, x0, **more), [each_parameter(grads[0], lambda g: -g)])
            late = all(map(same, _columns(early)[0], _columns(seen[:1])[0]))
            why = "the closure is called when the gradients have been read: " * late
            return f"{why}step {found[0]} is another one with a closure: by {found[1]}"
    return ""


def _columns(seen: list[Any]) -> list[list[Any]]:
    """x of each parameter at every step."""
    return [list(c) for c in zip(*seen, strict=True)] if isinstance(seen[0], list) else [seen]


def options(port: Port, case: Case) -> str:
    """Each against none: one parameter, and several of which one lacks its gradient at a step."""
    plain, refused = _optional(port, case, 1)[0], []
    for name, choice in port.capabilities.options.items():
        turns = name.startswith("maximize")  # alone, or with another option
        if turns and case.maximize:  # which the dialect is
            refused.append("maximize is the dialect")
            continue
        sign = -1 if turns else 1
        try:
            start(port, case, case.array(case.x0), **choice).step(sign * arrays(case)[0])
        except Exception as error:  # an option that this machine or this call does not allow
            refused.append(f"{name}: {type(error).__name__}: {error}"[:200])
            continue
        try:
            seen, impure = _optional(port, case, sign, **choice)
        except Exception as error:
            return f"with {name} {error if isinstance(error, Raised) else f'the port raised {error!r}'}"
        if impure is not None:
            return f"with {name} step {impure} has changed its gradient"
        for what, runs in seen.items():
            if found := differs(runs, plain[what], case.dtype):
                turned = ", with the gradients turned," if sign < 0 else ""
                return f"with {name}{turned} step {found[0]} of {what} is another one than without: by {found[1]}"
    if len(refused) == len(port.capabilities.options):
        raise NotImplementedError("; ".join(refused) or "the port claims no options")
    return ""


def _optional(port: Port, case: Case, sign: int, **choice: Any) -> tuple[dict[str, list[Any]], int | None]:
    """The runs of one parameter and, where lists are claimed, of two; and the first step that changed its gradient."""
    handle, seen, impure = start(port, case, case.array(case.x0), **choice), [], None
    for t, g in enumerate(arrays(case)):
        given = sign * g
        seen += steps(handle, [given])
        impure = t if impure is None and changed(handle, given, sign * g) else impure
    runs = {"one parameter": seen}
    if port.capabilities.lists:
        x, grads = two(case)
        gap = 1 if port.capabilities.missing else len(grads)
        given = [[sign * a, None if t == gap else sign * b] for t, (a, b) in enumerate(grads)]
        together = steps(start(port, case, x, **choice), given)
        runs |= {f"parameter {i} of two": [xs[i] for xs in together] for i in range(2)}
    return runs, impure


def complex_arrays(port: Port, case: Case) -> str:
    xp = host().namespace()

    def pair(a: Any) -> Any:
        return a + a.dtype.type(1) * 1j * a[::-1] if a.dtype == "float64" else (a + 1j * a[::-1]).astype("complex64")

    x0, grads = pair(case.array(case.x0)), [pair(g) for g in arrays(case)]
    handle, seen = start(port, case, x0), []
    for g in grads:
        handle.step(g)
        x = handle.x
        seen.append(xp.stack([read(x.real), read(x.imag)]))
    right = []
    real = start(port, case, xp.stack([x0.real, x0.imag]))
    for g in grads:
        real.step(xp.stack([g.real, g.imag]))
        right.append(read(real.x))
    worst = max(float(xp.max(xp.abs(a - b))) for a, b in zip(seen, right, strict=True))
    if worst > 8 * CLOSE[case.dtype]:
        why = _complex(port, case, [x0, *seen], grads)
        return f"{why}a complex array steps otherwise than its real and imaginary parts: by {worst:.3g}"
    return ""


def _complex(port: Port, case: Case, xs: list[Any], grads: list[Any]) -> str:
    """What explains the run of a complex array; "" if nothing is known. ``xs``: x0, and pairs after each step."""
    xp = host().namespace()
    x0 = xp.stack([xs[0].real, xs[0].imag])
    if all(xp.all(x[1] == x0[1]) for x in xs[1:]):
        return "the imaginary part is not stepped; "
    turned = steps(start(port, case, x0), [xp.stack([g.real, -g.imag]) for g in grads])
    if not differs(xs[1:], turned, case.dtype):
        return "the gradient is taken as its conjugate; "
    before = [x0, *(stored(x, case.dtype) for x in xs[1:-1])]
    fresh = [start(port, case, x) for x in before]
    anew = [steps(h, [xp.stack([g.real, g.imag])])[0] for h, g in zip(fresh, grads, strict=True)]
    return "" if differs(xs[1:], anew, case.dtype) else "the momentum is 0 at every step: its last change is lost; "
