"""Which parameters hold several matrices: fused projections, heads, gates, groups of a convolution."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from lionk.functions import entry

_FUSED = re.compile(r"(^|[._])(qkv|wqkv|qkv_proj|in_proj|in_proj_weight|c_attn|to_qkv)$", re.IGNORECASE)
_MIXED = re.compile(r"(^|[._])(query_key_value|linear_qkv|wqkv)$")
_GATED = re.compile(r"(^|[._])(gate_up_proj|w12|gate_and_up)$")
_HEADED = re.compile(r"(^|[._])([qkv]_proj|[qkv]_proj_weight|query|key|value|w?[qkv]|to_[qkv])$")
_OUTPUT = re.compile(r"(^|[._])(o_proj|out_proj|c_proj|to_out|wo|proj)$")
_GATES = {torch.nn.LSTM: 4, torch.nn.LSTMCell: 4, torch.nn.GRU: 3, torch.nn.GRUCell: 3}
_COUNT = ("num_heads", "n_head", "n_heads", "num_attention_heads", "nhead", "heads")
_KEYS = (
    "num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_kv_head", "num_groups", "kv_heads", "num_query_groups",
    "multi_query_group_num",
)  # fmt: skip


class Parts(NamedTuple):
    """How a parameter is split into matrices, and why."""

    axis: int
    sections: int | tuple[int, ...] | None
    heads: int | None
    why: str


def recognised(model: torch.nn.Module, name: str, p: torch.Tensor, heads: bool) -> Parts | None:
    """The parts of this parameter, where its module and its shape tell them; None: it is taken as a whole."""
    path = name.split(".")[:-1]
    owner = model.get_submodule(".".join(path))
    if isinstance(owner, torch.nn.modules.conv._ConvNd):
        n = owner.groups
        return Parts(0, n, None, f"{n} groups of {type(owner).__name__}") if n > 1 and p.ndim > 2 else None
    if p.ndim != 2:
        return None
    gates = next((n for kind, n in _GATES.items() if isinstance(owner, kind)), None)
    if gates is not None:  # weight_hr, the projection of an LSTM, has none
        last = name.rpartition(".")[2]
        split = last.startswith(("weight_ih", "weight_hh"))
        return Parts(-2, gates, None, f"{gates} gates of {type(owner).__name__}") if split else None
    above = list(_upwards(model, path))
    own = not name.endswith(".weight")  # of the module itself, such as in_proj_weight, and not of a layer in it
    if own:
        above.insert(0, owner)
    inputs = -2 if type(owner).__name__ == "Conv1D" else -1  # transformers' Conv1D keeps (inputs, outputs)
    outputs = -3 - inputs
    title = name if own else ".".join(path)
    count, keys = _number(above, _COUNT), _number(above, _KEYS)
    if _MIXED.search(title):
        return _mixed(p, outputs, count, keys)
    if _FUSED.search(title) and (_attends(above) or "in_proj" not in title):  # as Mamba has one, of other parts
        return _fused(p, outputs, inputs, count, keys, heads, type(owner).__name__)
    if _GATED.search(title) and p.shape[outputs] % 2 == 0:
        return Parts(outputs, 2, None, "gate and up projection in one")
    if heads and count and _HEADED.search(title):
        last = title.split(".")[-1].removeprefix("to_").removeprefix("w")
        here = keys if keys and last[:1] in "kv" else count
        if p.shape[outputs] % here == 0:
            return Parts(outputs, None, here, f"{here} heads")
    if heads and count and _OUTPUT.search(title) and p.shape[inputs] % count == 0 and _attends(above):
        return Parts(inputs, None, count, f"{count} heads along the inputs")
    return None


def _fused(
    p: torch.Tensor, outputs: int, inputs: int, count: int | None, keys: int | None, heads: bool, what: str
) -> Parts | None:
    """q, k and v in one matrix: three equal parts, or a part for each of the numbers of heads."""
    n, width = p.shape[outputs], p.shape[inputs]
    if count and keys and keys != count and n % (count + 2 * keys) == 0:
        size = n // (count + 2 * keys)
        why = f"q, k and v of {what}: {count} heads and {keys} of keys and of values"
        if heads:
            return Parts(outputs, None, count + 2 * keys, why)
        return Parts(outputs, (count * size, keys * size, keys * size), None, why)
    if n != 3 * width and not (count and n % (3 * count) == 0):
        return None
    each = count if heads and count and (n // 3) % count == 0 else None
    return Parts(outputs, 3, each, f"q, k and v of {what}" + (f", {each} heads each" if each else ""))


def _mixed(p: torch.Tensor, outputs: int, count: int | None, keys: int | None) -> Parts | None:
    """All of q, k and v in turn, or those of one head after the other (GPT-NeoX, Falcon, Megatron, InternLM): the name
    does not tell which, and each head is one part in both.
    """
    n = (count or 0) + 2 * (keys or count or 0)
    if not n or p.shape[outputs] % n:
        return None
    return Parts(outputs, None, n, f"{n} heads of q, k and v, which this name has in one order or another")


def _upwards(model: torch.nn.Module, path: list[str]) -> Iterator[torch.nn.Module]:
    """The modules that hold this one, the nearest first, two of them."""
    for k in range(len(path) - 1, max(len(path) - 3, -1), -1):
        yield model.get_submodule(".".join(path[:k]))


def _number(modules: list[torch.nn.Module], names: tuple[str, ...]) -> int | None:
    for module in modules:
        for holder in (module, getattr(module, "config", None)):
            for name in names:
                n = getattr(holder, name, None)
                if isinstance(n, int) and not isinstance(n, bool) and n > 0:
                    return n
    return None


def _attends(modules: list[torch.nn.Module]) -> bool:
    return bool(modules) and "att" in type(modules[0]).__name__.lower()


def of_parts(spec: Any, parts: Parts) -> Any:
    """The spec of this K for each of the parts; itself, if it has a layout of its own."""
    spec = {"name": spec} if isinstance(spec, str) else dict(spec)
    if spec["name"] in ("block_lift", "matrix_lift") or spec.get("sections") or spec.get("heads"):
        return None
    sections = list(parts.sections) if isinstance(parts.sections, tuple) else parts.sections
    if "sections" in entry(spec["name"]).parameters:
        given = {"sections": sections, "heads": parts.heads, "axis": None if parts.axis == -2 else parts.axis}
        return spec | {k: v for k, v in given.items() if v is not None}
    for n in (parts.heads, sections):
        if n is not None:
            spec = {"name": "block_lift", "k": spec, "axis": parts.axis, "sections": n}
    return spec
