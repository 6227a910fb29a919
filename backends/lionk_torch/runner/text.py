"""Phrases for recorded steps: calls of PyTorch that write into buffers, and expressions for torch.compile.

Numbers stay numbers, as in the reference, and PyTorch's own functions are called: torch.compile goes through
array-api-compat many times more slowly, and with warnings.
"""

from __future__ import annotations

from lionk.recording.program import COMPARISONS, INTEGER, SIGNS, UNARY

_OUT = "out={out})"
_MIRROR = dict(zip(COMPARISONS, ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"), strict=True))
_UNARY = {"negative": "neg"} | {op: op for op in UNARY if op not in ("negative", "sign", "real", "imag", "conj")}

CALLS = (
    {op: f"torch.{name}({{0}}, {_OUT}" for op, name in (_UNARY | {"logical_not": "logical_not"}).items()}
    | {op: f"compare('{op}', {{0}}, {{1}}, {{out}})" for op in COMPARISONS}
    | {f"{op}:na": f"compare('{mirrored}', {{1}}, {{0}}, {{out}})" for op, mirrored in _MIRROR.items()}
    | {op: f"torch.{op}({{0}}, {{1}}, {_OUT}" for op in ("logical_and", "logical_or", "pow", "maximum", "minimum")}
    | {
        "add": f"torch.add({{0}}, {{1}}, {_OUT}",
        "add:na": f"torch.add({{1}}, {{0}}, {_OUT}",
        "subtract": f"torch.sub({{0}}, {{1}}, {_OUT}",
        "subtract:na": f"torch.neg({{1}}, {_OUT}; torch.add({{out}}, {{0}}, {_OUT}",
        # torch.addr would take two products at once, but rounds the last entries of a tensor otherwise than the rest:
        # then the step of a tensor in pieces would not be that of the whole
        "add_scaled": f"torch.add({{0}}, {{1}}, alpha={{2}}, {_OUT}",
        "subtract_scaled": f"torch.sub({{0}}, {{1}}, alpha={{2}}, {_OUT}",
        "multiply": f"torch.mul({{0}}, {{1}}, {_OUT}",
        "multiply:na": f"torch.mul({{1}}, {{0}}, {_OUT}",
        "divide": f"torch.div({{0}}, {{1}}, {_OUT}",
        "divide:na": f"torch.reciprocal({{1}}, {_OUT}; torch.mul({{out}}, {{0}}, {_OUT}",  # as PyTorch does it
        "maximum:an": f"torch.clamp({{0}}, min={{1}}, {_OUT}",
        "minimum:an": f"torch.clamp({{0}}, max={{1}}, {_OUT}",
        "hypot": f"torch.hypot({{0}}, {{1}}, {_OUT}",
        "hypot:an": f"{{out}}.fill_({{1}}); torch.hypot({{0}}, {{out}}, {_OUT}",
        # torch.sign(nan) is 0; a clamp between two equal ends is that end, and nan for nan
        "sign": f"torch.sign({{0}}, {_OUT}; torch.clamp({{0}}, {{out}}, {{out}}, {_OUT}",
        "where": "select({0}, {1}, {2}, {out}, {spare})",
        "isnan": "compare('not_equal', {0}, {0}, {out})",
        "isfinite": "isfinite({0}, {out})",
        "nan_of": f"torch.clamp({{0}}, {{1}}, {{1}}, {_OUT}",
        "finite_of": f"torch.nan_to_num({{0}}, {{1}}, {{1}}, {{1}}, {_OUT}",
        "astype": "{out}.copy_({0})",
        "view": "{0}.view({dtype})",
        "sum": "torch.sum({0}, **over)",
        "max": "torch.amax({0}, **over)",
        "min": "torch.amin({0}, **over)",
        "order_statistic": "tally({0}, low, high)",
    }
    | {op: f"torch.{op}({{0}}, {{1}}, {_OUT}" for op in INTEGER}
)
# These read their arguments after they have written.
APART = frozenset({"sign", "where", "hypot"})

EXPRESSIONS = (
    {op: f"{{out}} = torch.{name}({{0}})" for op, name in (_UNARY | {op: op for op in ("isnan", "isfinite")}).items()}
    | {op: f"{{out}} = {{0}} {sign} {{1}}" for op, sign in (SIGNS | {"pow": "**"}).items()}
    | {op: f"{{out}} = torch.{op}({{0}}, {{1}})" for op in ("logical_and", "logical_or", "maximum", "minimum")}
    | {op: f"{{out}} = torch.{op}({{0}}, {{1}})" for op in INTEGER}
    | {
        "logical_not": "{out} = torch.logical_not({0})",
        "maximum:an": "{out} = torch.clamp({0}, min={1})",
        "minimum:an": "{out} = torch.clamp({0}, max={1})",
        "hypot": "{out} = torch.hypot({0}, {1})",
        "hypot:an": "{out} = torch.hypot({0}, torch.ones_like({0}) * {1})",
        "sign": "{out} = torch.where({0} != {0}, {0}, torch.sign({0}))",
        "where": "{out} = torch.where({0}, {1}, {2})",
        "astype": "{out} = {0}.to({dtype})",
        "view": "{out} = {0}.view({dtype})",
        "output": "{out}.copy_({0})",
        "sum": "torch.sum({0})",
        "max": "torch.max({0})",
        "min": "torch.min({0})",
    }
)
