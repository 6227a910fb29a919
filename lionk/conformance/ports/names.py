"""What a caller says about a port (``Request``), and how the port calls its hyper-parameters (``Names``)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..specification.port import Capabilities

#: Names under which optimizers take what the kit gives.
SYNONYMS = {
    "lr": ("lr", "learning_rate", "step_size", "eta", "rate"),
    "betas": ("betas",),
    "b1": ("b1", "beta1", "beta_1"),
    "b2": ("b2", "beta2", "beta_2"),
    "momentum": ("momentum", "beta", "mu"),
    "weight_decay": ("weight_decay", "wd", "lam", "lambda_", "decay"),
    "x": ("x", "p", "param", "params", "parameter", "theta", "w", "x0"),
    "m": ("m", "exp_avg", "momentum_buffer", "buf", "v"),
    "grad": ("grad", "g", "gradient", "d_p", "grads"),
    "state": ("state",),
    "count": ("count", "step", "t"),
}


@dataclass(frozen=True)
class Request:
    """What the caller says about a port that the adapter cannot know.

    K: the convex function (None: the adapter's own idea, else l1). names: canonical name -> the port's own, as in
    ``{"lr": "learning_rate"}``. options: further arguments of the port. claims: capabilities to replace, such as
    dtypes. decays: which conventions of decay, where the port offers several (none: its default; "all").
    library: the backend whose arrays a plain function or class gets. device: of that library.
    """

    K: Any = None
    names: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    decays: tuple[str, ...] = ()
    library: str = "numpy"
    device: Any = None


@dataclass(frozen=True)
class Names:
    """How a callable calls the hyper-parameters, and which betas it can be given.

    Raises TypeError if it has no learning rate, or none of betas, b1 and b2, and momentum.
    """

    found: Mapping[str, str]
    parameters: Mapping[str, inspect.Parameter]

    @classmethod
    def of(
        cls, function: Callable[..., Any], names: Mapping[str, str], need_rate: bool = True, need_betas: bool = True
    ) -> Names:
        parameters = parameters_of(function)
        unknown = [f"{k}={v}" for k, v in names.items() if k not in SYNONYMS or v not in parameters]
        if unknown:
            raise TypeError(
                f"{title(function)} has no such parameter, or the kit no such name: {', '.join(unknown)}; the kit's "
                f"are {', '.join(SYNONYMS)}, the port's {', '.join(parameters)}"
            )
        found = dict(names)
        for name, others in SYNONYMS.items():
            free = [o for o in others if o in parameters and o not in found.values()]
            if name not in found and free:
                found[name] = free[0]
        if need_rate and "lr" not in found:
            raise TypeError(f"{title(function)} has no parameter for lr among {', '.join(parameters)}; map it: lr=NAME")
        if need_betas and cls(found, parameters).betas == "none":
            raise TypeError(
                f"{title(function)} has no parameter for the betas among {', '.join(parameters)}; map them: "
                "betas=NAME, or b1=NAME and b2=NAME, or momentum=NAME"
            )
        return cls(found, parameters)

    @property
    def betas(self) -> str:
        """Which betas it can be given: see ``Capabilities``."""
        if "betas" in self.found or {"b1", "b2"} <= set(self.found):
            return "free"
        if "momentum" not in self.found:
            return "none"
        nesterov = self.parameters.get("nesterov")
        return "nesterov" if nesterov is not None and nesterov.default is True else "equal"

    def function(self, asked: Any) -> dict[str, Any]:
        """The claim of K: what the caller asked for, else the default of the port's own parameter, if it has one."""
        own = self.parameters["K"].default if "K" in self.parameters else inspect.Parameter.empty
        found = own if asked is None else asked
        return {} if found is inspect.Parameter.empty else {"K": found}

    @property
    def decays(self) -> bool:
        return "weight_decay" in self.found

    def capabilities(self, request: Request, **known: Any) -> Capabilities:
        """What a port with these parameters claims: what is ``known`` of its kind, and what the caller replaces."""
        decays: dict[str, Any] = {"lr_wd": {}} if self.decays else {"none": {}}
        tried = {"tried": False} if "dtypes" in request.claims else {}
        return Capabilities(**{"decays": decays, "betas": self.betas, **known, **tried, **request.claims})

    def split(self, hyper: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """lr, betas and weight_decay under the port's own names, and what else there is."""
        return self.arguments(**hyper), {k: v for k, v in hyper.items() if k not in ("lr", "betas", "weight_decay")}

    def arguments(self, **hyper: Any) -> dict[str, Any]:
        """lr, betas and weight_decay under the port's own names."""
        given: dict[str, Any] = {k: hyper[k] for k in ("lr", "weight_decay") if k in hyper and k in self.found}
        if "betas" in hyper:
            b1, b2 = hyper["betas"]
            if "betas" in self.found:
                given["betas"] = (b1, b2)
            elif {"b1", "b2"} <= set(self.found):
                given |= {"b1": b1, "b2": b2}
            elif "momentum" in self.found:
                given["momentum"] = b2
        return {self.found[k]: v for k, v in given.items()}

    @property
    def defaults(self) -> dict[str, Any]:
        """The port's own, as far as they are stated in its signature."""

        def default(name: str) -> Any:
            return self.parameters[self.found[name]].default if name in self.found else inspect.Parameter.empty

        stated = {k: default(k) for k in ("lr", "betas", "weight_decay")}
        if "betas" not in self.found and {"b1", "b2"} <= set(self.found):
            stated["betas"] = (default("b1"), default("b2"))
        elif self.betas in ("equal", "nesterov"):
            mu = default("momentum")
            stated["betas"] = (mu * mu if self.betas == "nesterov" else mu, mu) if isinstance(mu, float) else mu
        empty = inspect.Parameter.empty
        return {k: v for k, v in stated.items() if v is not empty and (not isinstance(v, tuple) or empty not in v)}


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of its signature; where a class passes **keywords on, those of its bases, too."""
    found = dict(inspect.signature(function).parameters)
    bases = function.__mro__[1:-1] if isinstance(function, type) else ()
    for base in bases:
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values()):
            break
        own = {n: p for n, p in found.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        found = {**inspect.signature(base).parameters, **own}
    return found


def chosen(offered: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    """The conventions of decay to judge, of those that a port offers; the first is its default."""
    if wanted == ("all",):
        return dict(offered)
    unknown = [w for w in wanted if w not in offered]
    if unknown:
        raise TypeError(f"the port does not offer the decay {', '.join(unknown)}; it offers {', '.join(offered)}")
    return {k: offered[k] for k in wanted or list(offered)[:1]}


def unwrap(obj: Any) -> Any:
    """What a functools.partial was made from."""
    while isinstance(obj, functools.partial):
        obj = obj.func
    return obj


def title(obj: Any) -> str:
    """``module.name`` of what was given."""
    inner = unwrap(obj)
    name = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', repr(inner))}"
    if isinstance(obj, functools.partial):
        name += "(" + ", ".join(f"{k}={v!r}" for k, v in obj.keywords.items()) + ")"
    return name


@functools.cache
def distributions() -> Mapping[str, list[str]]:
    """The distributions that each module comes from: the lists of files of all that is installed are read once."""
    from importlib.metadata import packages_distributions

    return packages_distributions()


def versions_of(*modules: str) -> dict[str, str]:
    """The versions of the distributions that these modules come from."""
    from importlib.metadata import version

    tops = [m.partition(".")[0] for m in modules]
    return {d: version(d) for m in tops for d in distributions().get(m, [])[:1]}
