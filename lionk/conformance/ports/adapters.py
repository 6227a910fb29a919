"""From what an author has to a port, and from a port to its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ...backend.discovery import backends
from ..judging.judge import judge
from ..report.results import Report
from ..specification.dialects import in_dialect
from ..specification.port import Port, With
from .names import Request
from .plain import PlainClass, PlainFunction


def adapt(obj: Any, request: Request | None = None, **wishes: Any) -> Port:
    """A port made from ``obj``; ``wishes`` are the fields of a ``Request``.

    Taken are: a ``Port``; a torch.optim class, an optax transformation's function, and what else a backend knows; a
    function ``step(x, m, grad, lr, beta1, beta2, weight_decay) -> (x, m)``, by the names of its parameters; a class
    whose objects are handles (``Handle``), made from x0 and hyper-parameters.

    Raises TypeError, with what is missing, if obj is none of these.
    """
    asked = replace(request or Request(), **wishes)
    if isinstance(obj, Port) and not isinstance(obj, type):
        return obj
    for backend in backends().values():
        port: Port | None = backend.adapt(obj, asked)
        if port is not None:
            return port
    if not callable(obj):
        raise TypeError(f"{obj!r} is no port: a class, a function, or an object with create, name and capabilities is")
    return PlainClass(obj, asked) if isinstance(obj, type) else PlainFunction(obj, asked)


def check(
    port: Any,
    *,
    level: int = 3,
    dtypes: tuple[str, ...] | None = None,
    only: str = "",
    known: Iterable[str] = (),
    diagnose: bool = True,
    progress: Callable[[str], None] | None = None,
    dialect: str | None = None,
    **wishes: Any,
) -> Report:
    """Judge a port by the specification.

    Parameters
    ----------
    port : Port, or anything that ``adapt`` makes one of
        A torch.optim class, an optax transform, a function, ...; ``wishes`` go to ``adapt``: K, names, options, claims,
        library, device.
    level : 0 to 3
        Up to which level of the specification.
    dtypes : tuple of str, optional
        Only these of the port's dtypes.
    only : str
        Only tests whose id starts so.
    known : list of str
        Known failures of the port, ids: they do not count. One that passes is a failure: the list must shrink.
    diagnose : bool
        Compare a failing port with the known mistakes.
    progress : callable, optional
        Called with the id of each test before it runs.
    dialect : str, optional
        The dialect that the port declares, among ``lionk.conformance.specification.dialects.DIALECTS``; those of Muon
        take words after a "+", as "muon-quintic+plain+ratio".

    Returns
    -------
    Report
    """
    made = adapt(port, **wishes)
    made = made if dialect is None else With(made, in_dialect(made.capabilities, dialect), {})
    return judge(made, level, dtypes, only, known, diagnose, progress)
