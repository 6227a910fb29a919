"""What the judge and the process of a port send each other: lines of JSON, nothing that is executed when it is read."""

from __future__ import annotations

import base64
from typing import Any

from ..judging.trace import Trace
from ..specification.cases import Rates, host
from ..specification.port import Capabilities

#: Of ``Capabilities`` but K, which may be a function.
_CLAIMS = [n for n in Capabilities.__dataclass_fields__ if n != "K"]


def packed(value: Any, sent: dict[int, int] | None = None) -> Any:
    """Arrays of NumPy in their exact numbers, schedules as lists of their rates, and lists, tuples and dicts of them.

    An array that is there twice is sent once: ``sent`` has the numbers of those that were, by their identities.
    """
    sent = {} if sent is None else sent
    if isinstance(value, Rates):
        return {"rates": list(value)}
    if isinstance(value, dict):
        return {k: packed(v, sent) for k, v in value.items()}
    if isinstance(value, list):
        return [packed(v, sent) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [packed(v, sent) for v in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in sent:
        return {"same": sent[id(value)]}
    sent[id(value)] = len(sent)
    wide = "complex128" if value.dtype.kind == "c" else "float64"
    data = base64.b64encode(host().asarray(value, dtype=wide).tobytes()).decode()
    return {"data": data, "wide": wide, "dtype": str(value.dtype), "shape": list(value.shape)}


def unpacked(value: Any, seen: list[Any] | None = None) -> Any:
    """The value that was packed; ``seen`` has its arrays in the order in which they came."""
    seen = [] if seen is None else seen
    if isinstance(value, list):
        return [unpacked(v, seen) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"rates": rates}:
            return Rates(rates)
        case {"tuple": entries}:
            return tuple(unpacked(v, seen) for v in entries)
        case {"same": number}:
            return seen[number]
        case {"data": data, "wide": wide, "dtype": dtype, "shape": shape}:
            xp = host().namespace()
            kind = {"float64": xp.float64, "complex128": xp.complex128}[wide]
            a = xp.frombuffer(base64.b64decode(data), dtype=kind).reshape([int(n) for n in shape])
            seen.append(a.copy() if dtype == wide else host().asarray(a, dtype=dtype))
            return seen[-1]
    return {k: unpacked(v, seen) for k, v in value.items()}


def packed_trace(trace: Trace) -> dict[str, Any]:
    equal = len({x.shape for x in trace.xs}) == 1  # thousands of small arrays are sent as one
    xs: Any = packed(host().namespace().stack(trace.xs)) if equal else [packed(x) for x in trace.xs]
    return {"xs": xs, "refused": trace.refused, "dtype": trace.dtype, "impure": trace.impure}


def unpacked_trace(d: dict[str, Any]) -> Trace:
    xs = list(unpacked(d["xs"])) if isinstance(d["xs"], dict) else [unpacked(x) for x in d["xs"]]
    xs = [host().asarray(x) for x in xs]
    return Trace(xs, str(d["refused"]), str(d["dtype"]), [int(t) for t in d["impure"]])


def packed_claims(claims: Capabilities) -> dict[str, Any]:
    kept = {n: getattr(claims, n) for n in _CLAIMS}
    return {**kept, "decays": {k: dict(v) for k, v in claims.decays.items()}, "options": list(claims.options)}


def unpacked_claims(d: dict[str, Any], K: Any) -> Capabilities:
    """The options themselves stay with the port: here a name stands for them."""
    known = {n: d[n] for n in _CLAIMS}
    options = {str(n): {"option": str(n)} for n in d["options"]}
    return Capabilities(K=K, **{**known, "dtypes": tuple(d["dtypes"]), "options": options})
