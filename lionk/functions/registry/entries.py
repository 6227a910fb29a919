"""Names: how a string or a spec becomes a convex function, and where a user adds one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ...arrays import namespace as _xp
from ...arrays.containers import is_container
from ...arrays.value import Value, value_class
from ..array_function import ArrayFunction
from ..base import ConvexFunction, labelled


@value_class
class Entry(Value):
    """A registered function: how it is built and what a table says of it.

    kind : "scalar", "vector", "matrix", "square", "symmetric" (square matrices, of which it sees the symmetric part),
        "kernel" (out, in, k...) or "rule".
    algorithm : is this the K of a published optimizer, under that optimizer's name?
    formula, subgradient, conjugate, constraint : plain text, with x the argument, y the dual one and lam the weight
        decay; ``constraint`` is what ``min f(x) + K*(lam x)/lam`` imposes.
    """

    name: str
    build: Callable[..., ConvexFunction]
    kind: str
    formula: str = ""
    subgradient: str = ""
    conjugate: str = ""
    constraint: str = ""
    source: str = ""
    algorithm: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults (``inspect.Parameter.empty`` where there is none)."""
        return {n: p.default for n, p in inspect.signature(self.build).parameters.items()}


Builder = Callable[..., ConvexFunction]
_ENTRIES: dict[str, Entry] = {}
# The modules of lionk's own names, in the order of the tables. A name loads those before it and its own, all names all.
SOURCES = tuple(
    f"lionk.functions.named.{room}" for room in ("scalar", "vector", "groups", "matrix", "rules", "algorithms", "scion")
)
DEPTH = 50  # of functions of functions in a spec
FUNCTIONS = ("K", "K1", "K2", "k", "phi", "norm")  # the parameters of rules that are functions


def registered(kind: str, rows: list[tuple[str, Builder, str, str, str, str, str]]) -> None:
    """Enter names of lionk's own: name, builder, K(x), dK(x), K*(y), what it imposes, source."""
    for name, build, formula, subgradient, conjugate, constraint, source in rows:
        enter(Entry(name, build, kind, formula, subgradient, conjugate, constraint, source))


def enter(made: Entry) -> None:
    _ENTRIES[made.name] = made


def _all() -> dict[str, Entry]:
    """Everything that is registered."""
    for source in SOURCES:
        import_module(source)
    return _ENTRIES


def register(
    name: str,
    build: Callable[..., ConvexFunction] | ConvexFunction,
    *,
    kind: str = "vector",
    formula: str = "",
    subgradient: str = "",
    conjugate: str = "",
    constraint: str = "",
    source: str = "",
    algorithm: bool = False,
    replace: bool = False,
) -> None:
    """Make a convex function available by name: in ``lionk.K``, the command line, the tests and the tables.

    Parameters
    ----------
    name : str
        An identifier that is not taken (``replace=True`` overrides).
    build : callable or ConvexFunction
        Called with the parameters, each of which must have a default for functions (rules take functions first).
    kind, formula, subgradient, conjugate, constraint, source : str
        What the tables show; see ``Entry``.
    algorithm : bool
        List it with ``lionk.algorithms()`` and not with ``lionk.names()``.
    """
    if not name.isidentifier():
        raise ValueError(f"name must be an identifier, such as my_norm, got {name!r}")
    if name in _all() and not replace:
        raise ValueError(f"{name!r} is registered already; choose another name or pass replace=True")
    if isinstance(build, ConvexFunction):
        fixed = build

        def build() -> ConvexFunction:
            return fixed

    if not callable(build):
        raise TypeError(f"build must be a convex function, or a callable that returns one, got {build!r}")
    enter(Entry(name, build, kind, formula, subgradient, conjugate, constraint, source, algorithm))


def names() -> list[str]:
    """The registered convex functions, each of which works with its default parameters."""
    return [e.name for e in _all().values() if e.kind != "rule" and not e.algorithm]


def algorithms() -> list[str]:
    """Published optimizers by name: each names the K, a composition of the functions, that makes LionK that optimizer.

    Each works with its default parameters, and wherever a name of ``lionk.names()`` does.
    """
    return [e.name for e in _all().values() if e.algorithm]


def rules() -> list[str]:
    """The registered rules, which build functions from functions."""
    return [e.name for e in _all().values() if e.kind == "rule"]


def entry(name: str) -> Entry:
    """What is registered under a name. Raises KeyError, with the nearest names."""
    for source in SOURCES:
        if name in _ENTRIES:
            break
        import_module(source)
    if name not in _ENTRIES:
        import difflib  # here, so that `import lionk` stays light

        word = name.strip().lower()
        near = difflib.get_close_matches(word, _ENTRIES, n=3) or [n for n in _ENTRIES if word and word in n][:3]
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see lionk.names(), lionk.algorithms()."
        raise KeyError(f"no convex function is named {name!r}; {hint}")
    return _ENTRIES[name]


def K(spec: Any, **parameters: Any) -> ConvexFunction:
    """A convex function from its name and parameters, from a spec, or from itself.

    Parameters
    ----------
    spec : str, dict or ConvexFunction
        A name of ``lionk.names()`` or ``lionk.algorithms()``, a spec as in ``K.spec``, or a function: it is returned.
    **parameters
        Of the named function; every one has a default. Where a rule takes functions, names and specs will do.

    Returns
    -------
    ConvexFunction

    Raises
    ------
    KeyError
        The name is not registered; the message suggests near ones.
    TypeError, ValueError
        A parameter is unknown or out of range; the message names it and what is valid.

    Examples
    --------
    >>> import lionk
    >>> K = lionk.K("huber", delta=0.5)
    >>> K.spec
    {'name': 'huber', 'delta': 0.5}
    >>> lionk.K(K.spec) == K
    True
    """
    if isinstance(spec, ConvexFunction):
        if parameters:
            raise TypeError("parameters go with a name; a convex function already has its own")
        return spec
    if isinstance(spec, dict):
        if not isinstance(spec.get("name"), str):
            raise TypeError(
                f'a spec is a dict with a "name", got keys {sorted(map(str, spec))}; '
                "for a container of functions use lionk.blocks"
            )
        parameters = {**{k: v for k, v in spec.items() if k != "name"}, **parameters}
        spec = spec["name"]
    if not isinstance(spec, str):
        hint = " (for a container of functions use lionk.blocks)" if is_container(spec) else ""
        raise TypeError(f"K must be a name, a spec (dict) or a convex function, got {type(spec).__name__}{hint}")
    e = entry(spec)
    known = e.parameters
    unknown = [p for p in parameters if p not in known]
    if unknown:
        valid = ", ".join(known) or "none"
        raise TypeError(f"{spec} has no parameter {unknown[0]!r}; it takes: {valid}")
    missing = [p for p, d in known.items() if d is inspect.Parameter.empty and p not in parameters]
    if missing:
        raise TypeError(f"{spec} needs {missing[0]!r}; it takes: {', '.join(known)}")
    rule = e.kind == "rule"  # the texts that a rule takes are names of functions, but for polar="svd"
    parameters = {p: _plain(v) for p, v in parameters.items()}
    for p, v in parameters.items():
        _check_depth(p, v)
    given = {p: _build(v, rule and p not in ("noise", "polar", "combine")) for p, v in parameters.items()}
    for p, v in given.items():
        _check_kind(spec, p, v, known[p], rule and p in FUNCTIONS)
    try:
        built = e.build(**given)
    except OverflowError:
        far = ", ".join(given)
        raise ValueError(f"{spec}: a number among {far} is beyond the range of floating-point numbers") from None
    if not isinstance(built, ConvexFunction):
        raise TypeError(f"{spec} is registered with a builder that returns {type(built).__name__}, no convex function")
    if rule:
        return built
    values = {p: _as_spec(parameters.get(p, d)) for p, d in known.items()}
    return labelled(built, {"name": spec, **{p: v for p, v in values.items() if v is not None or known[p] is not None}})


def array_function(given: Any, rule: str) -> ArrayFunction:
    """A convex function of one array, from the function, name or spec that a rule was given. Raises TypeError."""
    k = K(given)
    if not isinstance(k, ArrayFunction):
        raise TypeError(f"{rule} takes a convex function of one array, got {type(k).__name__}")
    return k


def _check_depth(name: str, value: Any) -> None:
    """ValueError for a spec of functions of functions of ... that goes on too long: each needs a few calls in a row."""
    level = [value]
    for _ in range(DEPTH + 2):
        inner = (s.values() if isinstance(s, dict) else s for s in level if isinstance(s, (dict, list, tuple)))
        level = [v for values in inner for v in values]
        if not level:
            return
    raise ValueError(
        f"{name} is nested deeper than {DEPTH} functions; write what it amounts to, one ridge in place of two"
    )


def _check_kind(spec: str, name: str, value: Any, default: Any, function: bool) -> None:
    """TypeError where a parameter is of another kind than its default: a function, a text, True or False."""
    wanted = ""
    if function and not isinstance(value, (str, ConvexFunction)):
        wanted = "a convex function, its name or its spec"
    elif isinstance(default, bool) and not (isinstance(value, int) or getattr(value, "shape", None) == ()):
        wanted = "True or False"
    elif isinstance(default, str) and not isinstance(value, (str, dict, ConvexFunction)):
        wanted = f"a text such as {default!r}"
    if wanted:
        raise TypeError(f"{spec} takes {wanted} for {name}, got {type(value).__name__}")


def _plain(value: Any) -> Any:
    """A parameter as a spec holds it: scalars of a library become numbers, 1-d arrays of integers tuples."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return float(value) if isinstance(value, float) else value
    import numbers  # here, so that `import lionk` stays light

    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if _xp.is_array_api_obj(value) and value.ndim == 1 and _xp.is_integer(value):
        return tuple(int(value[i]) for i in range(value.shape[0]))
    return value


def _build(value: Any, texts: bool) -> Any:
    """A parameter as the builder takes it: specs (and names, for rules) become functions."""
    is_spec = isinstance(value, dict) and isinstance(value.get("name"), str)
    return K(value) if is_spec or (texts and isinstance(value, str)) else value


def _as_spec(value: Any) -> Any:
    """A parameter as a spec holds it: functions by their spec."""
    return value.spec if isinstance(value, ConvexFunction) else value
