"""What the kit asks of a port: a protocol of two small objects, and a record of what the port claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from .rules import VERSION, VERSIONS

DTYPES = ("float64", "float32", "float16", "bfloat16")
#: Conventions of weight decay by the names in the ids of tests, and what ``lionk.decay`` calls them.
DECAYS: dict[str, str | None] = {
    "lr_wd": "decoupled",
    "lr_ratio": "relative",
    "lr2_max": "corrected",
    "palm": "palm",
    "fixed": "fixed",
    "coupled": "coupled",
    "none": None,
}
#: What a port claims that can do all that is asked of parameters, gradients and checkpoints, whatever its arrays are.
EVERYTHING: Mapping[str, Any] = dict.fromkeys(
    ("schedule", "lists", "groups", "missing", "checkpoint", "restores",
     "writable", "editable", "adds", "closure", "buffers", "mixed"), True,
)  # fmt: skip


@dataclass(frozen=True)
class Capabilities:
    """What a port claims. Tests that need more are left out, and the report says so.

    Parameters
    ----------
    K : name, spec, ConvexFunction, or callable
        The convex function of the port; a callable is given the shape of the parameter (Muon's scale depends on it).
    dtypes : tuple of str
        Of parameters: among float64, float32, float16, bfloat16.
    decays : mapping
        The conventions of weight decay that it offers (the keys of ``DECAYS``), with the extra options of ``create``
        that choose each.
    betas : "free", "nesterov", "equal" or "none"
        Which (b1, b2) it can be given: any, b1 = b2^2 (Muon with Nesterov momentum), b1 = b2 (Signum), or none: it is
        then judged with 0.9 and 0.99.
    state_dtype : str or None
        The dtype of the momentum where it is not that of the parameter, such as "float32".
    accuracy : float
        Declared relative error of the subgradient, |u - dK(c)| <= accuracy |dK(c)|: 0 but for approximations such as
        Newton-Schulz. Ties and cancellation are not asked of an approximation.
    schedule : bool
        ``lr`` may be a callable ``count -> lr``, called with 0 at the first step.
    lists, groups, missing : bool
        x0 and grad may be lists of arrays; ``groups=`` may give each array its own hyper-parameters; None may stand for
        a gradient that is missing.
    checkpoint : bool
        ``state`` and ``load`` work.
    restores : bool
        ``state`` holds the hyper-parameters too, and ``load`` brings them back.
    writable, editable, adds, closure, buffers : bool
        Its handles have ``write``, ``edit``, ``add``, ``closure``, ``reuse`` (see ``Handle``).
    mixed, complex : bool
        The arrays of a list may have several dtypes; arrays may be complex.
    options : mapping
        Options by name that say how a step is computed, and not which one, with the arguments of ``create`` that choose
        them, as ``{"foreach": {"foreach": True}}``. One called "maximize" turns the gradient.
    cautious : "", "mask" or "rescale"; cautious_decay, maximize : bool
        What is added to the step, as in ``lionk.variants``: for an elementwise K.
    state_error : float
        Declared error of the momentum after each step, relative to its largest entry: 0 but for states of few bits.
    pieces : bool
        ``create([a, b, ...], pieces=True)`` is one array, given in pieces along its first axis, each with its part of
        the gradient; x and grad are then lists.
    tried : bool
        ``dtypes`` are those to try: one that is refused is left out, not failed.
    specification : str
        The version of the specification that it is judged by, among ``VERSIONS``.
    """

    K: Any = "l1"
    dtypes: tuple[str, ...] = ("float64", "float32")
    decays: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"lr_wd": {}})
    betas: str = "free"
    state_dtype: str | None = None
    accuracy: float = 0.0
    schedule: bool = False
    lists: bool = False
    groups: bool = False
    missing: bool = False
    checkpoint: bool = False
    restores: bool = False
    writable: bool = False
    editable: bool = False
    adds: bool = False
    closure: bool = False
    buffers: bool = False
    mixed: bool = False
    complex: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cautious: str = ""
    cautious_decay: bool = False
    maximize: bool = False
    state_error: float = 0.0
    pieces: bool = False
    tried: bool = False
    specification: str = VERSION

    def __post_init__(self) -> None:
        for name, value, known in (
            ("dtypes", self.dtypes, DTYPES),
            ("decays", self.decays, tuple(DECAYS)),
            ("betas", (self.betas,), ("free", "nesterov", "equal", "none")),
            ("cautious", (self.cautious,), ("", "mask", "rescale")),
        ):
            if isinstance(value, str) or not set(value) <= set(known):
                raise ValueError(f"capabilities.{name} is {value!r}; it takes {', '.join(known)}")
        if self.specification not in VERSIONS:
            raise ValueError(
                f"the port is written for specification {self.specification}, this kit holds {', '.join(VERSIONS)}; "
                "install the lionk that has it, or look at what changed"
            )


class Handle(Protocol):
    """One running optimizer. ``x`` is the parameter (or the list of them) after the last step, in any array library.

    An optional attribute ``received`` holds the last gradient as the port's own library got it; the kit looks whether
    a step has changed it.
    """

    @property
    def x(self) -> Any: ...

    def step(self, grad: Any) -> None:
        """One step. ``grad`` is a NumPy array like x0 (or a list of them), the direction of steepest ascent."""

    def state(self) -> Any:
        """All that a checkpoint must hold beside x; it is copied by ``copy.deepcopy``."""

    def load(self, state: Any) -> None:
        """Continue from a state, in a handle made from the x that belongs to it."""

    # What the claims of the same names stand for; a port that does not claim them needs none of these.
    #
    # write(x): the user overwrites the parameter (or the list of them).
    # edit(**hyper): the user changes hyper-parameters (not lr where it is a schedule) between two steps.
    # add(x0, **hyper): a further parameter, in a group of its own; x and step then take a list.
    # closure(grad) -> (calls, enabled, returned): a step by a closure that writes this gradient: how often it was
    #     called, whether gradients were enabled in it, and whether its value was returned.
    # reuse(grad): a step whose gradient is written into the memory of the last one.


@runtime_checkable
class Port(Protocol):
    """An implementation under test.

    ``defaults`` are its own default hyper-parameters, as far as it has them, under the names lr, betas, weight_decay.
    """

    @property
    def name(self) -> str: ...

    @property
    def defaults(self) -> Mapping[str, Any]: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def create(self, x0: Any, **hyper: Any) -> Handle:
        """A fresh optimizer at ``x0``, a NumPy array whose dtype is that of the parameter (or a list of arrays).

        ``hyper``: lr, betas = (b1, b2), weight_decay, and the options of the decay convention.
        """


def each_parameter(value: Any, function: Callable[[Any], Any]) -> Any:
    """The function applied to an array, or to every array of a list; None stays None."""
    if isinstance(value, (list, tuple)):
        return [None if v is None else function(v) for v in value]
    return function(value)


class With:
    """A port with other claims, and further arguments."""

    def __init__(self, port: Port, claims: Capabilities, choice: Mapping[str, Any]) -> None:
        self.port, self.capabilities, self.choice = port, claims, choice
        self.name, self.defaults, self.versions = port.name, port.defaults, getattr(port, "versions", {})

    def create(self, x0: Any, **hyper: Any) -> Any:
        return self.port.create(x0, **hyper, **self.choice)
