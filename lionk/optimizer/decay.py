"""How optimizers spell weight decay, the lam of LionK that each spelling is at a step, and the bound it implies."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import named_leaves
from ..arrays.newton_schulz import published
from ..errors import NotAvailable
from ..functions import K as build
from ..functions import entry
from ..functions.calculus.block_sum import Blocks


class Decay(NamedTuple):
    """One spelling: ``lam = wd lr^a reference^b``; the reference is the first lr, or the largest of a schedule."""

    powers: tuple[int, int] | None  # a, b; None: lam is 0
    shrink: str  # x is multiplied by 1 - this in a step
    radius: str  # 1/lam: what the constraint ``lam x in dom K*`` is relative to
    users: str

    @property
    def divides(self) -> bool:
        """Is there a division by an lr, which must not be 0 then?"""
        return -1 in (self.powers or ())


DECAYS = {
    "decoupled": Decay((0, 0), "lr wd", "1/wd at every lr", "Lion, optax, torch.optim, Keras"),
    "relative": Decay((0, -1), "(lr/lr_0) wd", "lr_0/wd at every lr", "lion-pytorch, decoupled_weight_decay=True"),
    "corrected": Decay(
        (1, -1), "lr^2 wd/lr_max", "lr_max/(lr wd), which grows as lr falls", "timm, corrected_weight_decay=True"
    ),
    "palm": Decay((1, 0), "lr^2 wd", "1/(lr wd), which grows as lr falls", "PaLM, Adafactor: wd lr^2"),
    "fixed": Decay((-1, 0), "wd", "lr/wd, which shrinks with lr, and x with it", "pytorch_optimizer, fixed_decay=True"),
    "coupled": Decay(
        None, "0", "g + wd x adds wd/2 |x|^2 to f, and nothing bounds x", "L2 regularisation; bitsandbytes until 7/2026"
    ),
}
"""Where decay is left out (a mask, a group with decay 0) nothing bounds the entries. Derived here, from the update."""


def find(name: str) -> Decay:
    """The spelling of this name. Raises ValueError that lists them.

    >>> from lionk import decay
    >>> decay.find("corrected").shrink
    'lr^2 wd/lr_max'
    """
    if name not in DECAYS:
        raise ValueError(f"the decay convention must be one of {', '.join(DECAYS)}, got {name!r}")
    return DECAYS[name]


def at(name: str, weight_decay: Any, lr: Any, reference: Any) -> Any:
    """The weight decay of LionK at a step with this lr, a number or a 0-d array. A step of lr = 0, which leaves x,
    counts as one with the reference, which must not be 0 where it is divided by.

    >>> from lionk import decay
    >>> decay.at("relative", 0.1, 1e-4, 1e-3), decay.at("corrected", 0.1, 1e-4, 1e-3)
    (100.0, 0.01)
    """
    powers = find(name).powers
    if powers is None:
        return 0.0
    if isinstance(lr, (int, float)):
        lr = lr or reference
    elif powers[0] < 0:
        xp = _xp.namespace(lr, name="lr")
        lr = xp.where(lr == 0, xp.ones_like(lr) * reference, lr)
    for base, power in zip((lr, reference), powers, strict=True):
        weight_decay = weight_decay * base if power == 1 else weight_decay / base if power == -1 else weight_decay
    return weight_decay


def bound(K: Any, name: str, weight_decay: float, lr: float, reference: float | None = None) -> str:
    """One line: what the decay of this spelling imposes on x.

    >>> from lionk import decay
    >>> decay.bound("l1", "decoupled", 0.1, 1e-3)
    '|x_i| <= 1/lam, lam = 0.1; radius 1/lam = 10: 1/wd at every lr'
    """
    lam = float(at(name, weight_decay, lr, lr if reference is None else reference))
    if lam == 0:
        return f"no bound: {find(name).radius if weight_decay else 'the weight decay is 0'}"
    return f"{imposed(K)}, lam = {lam:g}; radius 1/lam = {1 / lam:g}: {find(name).radius}"


def imposed(K: Any) -> str:
    """What lam > 0 imposes, in the words of the registry: ``|x_i| <= 1/lam``."""
    function = build(K)
    if isinstance(function, Blocks):
        return "; ".join(f"{path}: {imposed(k)}" for path, k in named_leaves(function.tree))
    try:
        spec = function.spec
    except NotAvailable:  # made of Python functions
        return "lam x in dom K*"
    if spec["name"] == "kernel_lift":
        return f"{imposed(spec['k'])}, X the matrix (out, in k...)"
    if spec["name"] == "matrix_lift":
        rows, columns = (", ".join(map(str, spec.get(n, ("the others",)))) for n in ("rows", "columns"))
        return f"{imposed(spec['k'])}, X each matrix of the axes {rows} and {columns}"
    if spec["name"] == "block_lift":
        return f"{imposed(spec['k'])}, for {_slices(spec['sections'])} along axis {spec['axis']}"
    constraint = (entry(spec["name"]).constraint or "lam x in dom K*") + _beyond(spec.get("polar"))
    parts = [_slices(spec[n]) for n in ("sections", "heads") if spec.get(n) is not None]
    return f"{constraint}, for {' of '.join(parts[::-1])} along axis {spec.get('axis') or -2}" if parts else constraint


def _beyond(polar: Any) -> str:
    """How far a published Newton-Schulz set goes beyond the bound."""
    if not isinstance(polar, str) or polar in ("svd", "newton_schulz"):
        return ""
    return f", times {published(polar).reach:.4g}, the reach of {polar}"


def _slices(sections: Any) -> str:
    return f"each of {sections} slices" if isinstance(sections, int) else f"each slice of {tuple(sections)}"
