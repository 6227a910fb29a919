"""What the judge and the process of a port send each other: lines of JSON, nothing that is executed when it is read."""

from __future__ import annotations

import base64
from typing import Any

from ..judging.trace import Trace
from ..specification.cases import Rates, host
from ..specification.port import Capabilities

#: Of ``Capabilities`` but K, which may be a function.
_CLAIMS = [n for n in Capabilities.__dataclass_fields__ if n != "K"]


def packed(a: Any) -> dict[str, Any]:
    """An array of NumPy in its exact numbers."""
    wide = "complex128" if a.dtype.kind == "c" else "float64"
    data = base64.b64encode(host().asarray(a, dtype=wide).tobytes()).decode()
    return {"data": data, "wide": wide, "dtype": str(a.dtype), "shape": list(a.shape)}


def unpacked(d: dict[str, Any]) -> Any:
    xp = host().namespace()
    wide = {"float64": xp.float64, "complex128": xp.complex128}[d["wide"]]
    a = xp.frombuffer(base64.b64decode(d["data"]), dtype=wide).reshape([int(n) for n in d["shape"]])
    return a.copy() if d["dtype"] == d["wide"] else host().asarray(a, dtype=d["dtype"])


def packed_list(value: Any) -> Any:
    """An array, or a list of arrays and None; the same array twice is sent once."""
    if not isinstance(value, list):
        return packed(value)
    places = [next(j for j, w in enumerate(value) if w is v) for v in value]
    return [
        None if v is None else {"same": p} if p < i else packed(v)
        for i, (v, p) in enumerate(zip(value, places, strict=True))
    ]


def unpacked_list(value: Any) -> Any:
    if not isinstance(value, list):
        return unpacked(value)
    found: list[Any] = []
    for v in value:
        found.append(None if v is None else found[v["same"]] if "same" in v else unpacked(v))
    return found


def packed_hyper(hyper: dict[str, Any]) -> dict[str, Any]:
    """Hyper-parameters, with a schedule as the list of its rates."""
    return {k: {"rates": list(v)} if isinstance(v, Rates) else v for k, v in hyper.items() if k != "groups"} | (
        {"groups": [packed_hyper(g) for g in hyper["groups"]]} if hyper.get("groups") else {}
    )


def unpacked_hyper(hyper: dict[str, Any]) -> dict[str, Any]:
    found = {k: Rates(v["rates"]) if isinstance(v, dict) else v for k, v in hyper.items() if k != "groups"}
    if "betas" in found:
        found["betas"] = tuple(found["betas"])
    if "groups" in hyper:
        found["groups"] = [unpacked_hyper(g) for g in hyper["groups"]]
    return found


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
