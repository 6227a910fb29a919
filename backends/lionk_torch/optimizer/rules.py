"""Which K for which parameter: groups made from a module by rules, and a report of what they chose."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

import torch

import lionk
from lionk.conventions import from_adamw
from lionk.optimizer.decay import imposed

from .layouts import Parts, of_parts, recognised

Condition = str | int | tuple[int | None, ...] | type | Callable[[str, torch.Tensor, torch.nn.Module], bool]


def _is_vector(_name: str, p: torch.Tensor, _module: torch.nn.Module) -> bool:
    return p.ndim > 2 and p.numel() == max(p.shape)  # a gain (C, 1, 1), a token (1, 1, C)


def _is_stack(_name: str, p: torch.Tensor, module: torch.nn.Module) -> bool:
    return p.ndim > 2 and p.shape[0] > 1 and not isinstance(module, torch.nn.modules.conv._ConvNd)


def _is_kernel(_name: str, p: torch.Tensor, module: torch.nn.Module) -> bool:
    return p.ndim > 2 and isinstance(module, torch.nn.modules.conv._ConvNd)


def _is_gain(name: str, _p: torch.Tensor, _module: torch.nn.Module) -> bool:
    return name.endswith((".original0", "weight_g"))  # of weight normalisation, (C, 1)


MUON: tuple[tuple[Any, Any], ...] = (
    (torch.nn.Embedding, "l1"),
    (_is_gain, "l1"),
    (2, "nuclear"),
    (_is_vector, "l1"),
    (_is_kernel, {"name": "kernel_lift", "k": "nuclear"}),
    (_is_stack, "nuclear"),
)
"""The usual recipe for Muon. Matrices, convolution kernels and each matrix of a stack of experts get the nuclear norm;
embeddings, gains of any shape and everything else get l1. Most users of Muon leave out the output layer, too: put a
rule before these, ``groups(model, [("head.*", "l1"), *MUON])``."""


def groups(
    module: torch.nn.Module,
    rules: Iterable[tuple[Condition, Any]] = MUON,
    *,
    default: Any = "l1",
    adamw: tuple[float, float] | None = None,
    report: Callable[[str], Any] | None = print,
    parts: str | None = "fused",
) -> list[dict[str, Any]]:
    """Make parameter groups for ``LionK``, one for each K that the rules choose. The first rule that fits is used.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Parameters that need no gradient are left out.
    rules : iterable of (condition, options)
        A condition is a pattern of the parameter's name ("*.bias"), its number of axes (2), its shape ((10, None)), the
        class of the module that holds it, or ``f(name, parameter, module) -> bool``. The options are a K, or a dict of
        options of ``LionK``.
    default
        The options of parameters that no rule fits.
    adamw : (lr, weight_decay), optional
        Rates that work with AdamW. Each group without rates of its own gets a learning rate and a weight decay of about
        the same effect (``lionk.conventions.from_adamw``). Parameters of other shapes may need another group.
    report : callable, optional
        It is called with one line for each parameter. None: no report.
    parts : "fused", "heads" or None
        Which parameters hold several matrices. A function of matrices is then applied to each one. "fused" finds q, k
        and v in one projection (``torch.nn.MultiheadAttention``, GPT-2, timm, grouped queries), a gate and an up
        projection in one, the gates of an LSTM or a GRU, and the groups of a convolution, by module and shape. Where
        a name leaves open in which order q, k and v lie, each of their heads is a part. "heads" splits all projections
        of attention into their heads. None takes each parameter as a whole. The report says what was found. A K that
        names its own slices, such as ``{"name": "muon", "sections": 12}``, is taken as it is.

    Examples
    --------
    >>> import torch, lionk_torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    >>> opt = lionk_torch.LionK(lionk_torch.groups(net), lr=1e-3, weight_decay=0.1)
    0.weight (3, 4): nuclear, s_1(X) <= 1/lam
    0.bias (3,): l1, |x_i| <= 1/lam
    1.weight (3,): l1, |x_i| <= 1/lam
    1.bias (3,): l1, |x_i| <= 1/lam
    """
    rules = tuple(rules)
    if parts not in ("fused", "heads", None):
        raise ValueError(f'parts must be "fused", "heads" or None, got {parts!r}')
    made: list[tuple[dict[str, Any], dict[str, Any]]] = []  # options, with K as its spec, and the group
    for name, p in module.named_parameters():
        if not p.requires_grad:
            continue
        owner = module.get_submodule(name.rpartition(".")[0])
        chosen = next((options for condition, options in rules if _fits(condition, name, p, owner)), default)
        options = dict(chosen) if isinstance(chosen, dict) and "name" not in chosen else {"K": chosen}
        options.setdefault("K", "l1")
        whole = lionk.K(options["K"])
        K, why = _of_parts(whole, recognised(module, name, p, parts == "heads") if parts else None)
        options["K"] = options["K"] if K is whole else K.spec
        if adamw is not None and not {"lr", "weight_decay"} <= options.keys():
            lr, weight_decay = from_adamw(K, *adamw, like=p.detach())
            options = {"lr": lr, "weight_decay": weight_decay} | options
        kind = options | {"K": K.spec}
        group = next((g for known, g in made if _equal(known, kind)), None)
        if group is None:
            group = {**options, "params": []}
            made.append((kind, group))
        group["params"].append(p)
        if report is not None:
            rates = f", lr {options['lr']:.3g}, lam {options['weight_decay']:.3g}" if adamw is not None else ""
            report(f"{name} {tuple(p.shape)}: {_text(K.spec)}, {imposed(K)}{rates}{why}")
    if not made:
        raise ValueError("the module has no parameter that needs a gradient; set requires_grad of those to be trained")
    return [group for _, group in made]


def _of_parts(K: lionk.ConvexFunction, parts: Parts | None) -> tuple[lionk.ConvexFunction, str]:
    """K for each part, and why; K itself where it is no function of matrices, or has parts of its own."""
    matrices = K.traits.structure == "matrix" or K.traits.stacks
    spec = of_parts(K.spec, parts) if parts is not None and (matrices or "kernel_lift" in str(K.spec)) else None
    if parts is None or spec is None:
        return K, ""
    whole = parts.sections is None and parts.heads is None
    return K if whole else lionk.K(spec), f" ({parts.why})"


def _equal(a: Any, b: Any) -> bool:
    """Are two options the same? Numbers that are arrays, such as lr, may be changed later: only the same one is."""
    if a is b:
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if hasattr(a, "shape") or hasattr(b, "shape"):
        return type(a) is type(b) and a.shape == b.shape != () and bool((a == b).all())
    return bool(a == b)


def _fits(condition: Condition, name: str, p: torch.Tensor, owner: torch.nn.Module) -> bool:
    match condition:
        case str():
            return fnmatch.fnmatchcase(name, condition)
        case bool():
            raise TypeError("a condition is a pattern, a number of axes, a shape, a class or a function, got a bool")
        case int():
            return p.ndim == condition
        case tuple():
            sizes = zip(p.shape, condition, strict=False)
            return p.ndim == len(condition) and all(want in (None, size) for size, want in sizes)
        case type():
            return isinstance(owner, condition)
    return bool(condition(name, p, owner))


def _text(spec: Any) -> str:
    """``name``, ``name(parameter=value)``, ``rule(name)``: a spec as it is spoken of."""
    if not isinstance(spec, dict):
        return str(spec)
    inside = (_text(v) if isinstance(v, dict) else f"{k}={v}" for k, v in spec.items() if k != "name")
    parameters = ", ".join(inside)
    return f"{spec['name']}({parameters})" if parameters else str(spec["name"])
