"""Which parameters hold several matrices: fused projections, heads, gates, groups of a convolution."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from lionk.functions import entry

_FUSED = re.compile(
    r"(^|[._])(\w*qkv\w*|in_proj|in_proj_weight|c_attn|query_key_value|w_pack|att_proj)$", re.IGNORECASE
)
_IN_TURN = re.compile(r"(^|\.)(qkv|to_qkv|Wqkv|in_proj_weight|c_attn)$")  # all of q, then all of k, then all of v
_FLAGS = ("head_first", "key_dim", "multi_query")  # of modules that have, or may have, the rows of each head together
_GATED = re.compile(r"(^|[._])(gate_up_proj|w12|gate_and_up)$")
_HEADED = re.compile(r"(^|[._])([qkv]_proj|[qkv]_proj_weight|query|key|value|w?[qkv]|to_[qkv])$")
_OUTPUT = re.compile(r"(^|[._])(o_proj|out_proj|c_proj|to_out|wo|proj)$")
_GATES = {torch.nn.LSTM: 4, torch.nn.LSTMCell: 4, torch.nn.GRU: 3, torch.nn.GRUCell: 3}
_COUNT = (
    "num_heads", "n_head", "n_heads", "num_attention_heads", "nhead", "heads", "num_attention_heads_per_partition",
)  # fmt: skip
_KEYS = (
    "num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_kv_head", "num_groups", "kv_heads", "num_query_groups",
    "multi_query_group_num", "num_multi_query_groups_per_partition",
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
    inputs = _inputs_of(owner)
    outputs = -3 - inputs
    title = name if own else ".".join(path)
    count, keys = _heads(above)
    if _FUSED.search(title) and (_attends(above) or "in_proj" not in title):  # as Mamba has one, of other parts
        sizes = {p.shape[inputs], *_inputs(above[:1], p)}
        in_turn = bool(_IN_TURN.search(title)) and not any(hasattr(m, flag) for m in above[:1] for flag in _FLAGS)
        return _fused(name, p.shape[outputs], outputs, sizes, count, keys, heads, in_turn)
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
    name: str, n: int, axis: int, sizes: set[int], count: int | None, keys: int | None, heads: bool, in_turn: bool
) -> Parts:
    """q, k and v in one matrix of n outputs. q is as wide as the model, or as what the output projection takes.

    Where q, k and v come in turn they are the parts. Where they may as well come head by head (GPT-NeoX, BLOOM, Falcon,
    Megatron, InternLM2, MiniMax), or by groups of heads (CodeGen), each head of each is a part, in every order.
    """
    for k in (keys, count):
        if not (count and k) or n % (count + 2 * k) or n // (count + 2 * k) * count not in sizes:
            continue
        n_heads, size = count + 2 * k, n // (count + 2 * k)
        if not in_turn and k != 1:  # one head of keys and of values is last in both orders
            return Parts(axis, None, n_heads, f"{n_heads} heads of q, k and v, which may lie in one order or another")
        if k == count:
            each = count if heads else None
            return Parts(axis, 3, each, "q, k and v" + (f", {count} heads each" if heads else ""))
        why = f"q, k and v: {count} heads and {k} of keys and of values"
        if heads:
            return Parts(axis, None, n_heads, why)
        return Parts(axis, (count * size, k * size, k * size), None, why)
    thirds = n % 3 == 0 and n // 3 in sizes
    if thirds and in_turn:
        return Parts(axis, 3, None, "q, k and v")
    unknown = "order" if thirds else "sizes"
    rule = f'("{name}", {{"name": "muon", "sections": 3}})'
    return Parts(
        axis, None, None, f"taken whole, the {unknown} of its q, k and v being unknown: a rule such as {rule} tells"
    )


def _upwards(model: torch.nn.Module, path: list[str]) -> Iterator[torch.nn.Module]:
    """The modules that hold this one, the nearest first, two of them."""
    for k in range(len(path) - 1, max(len(path) - 3, -1), -1):
        yield model.get_submodule(".".join(path[:k]))


def _heads(modules: list[torch.nn.Module]) -> tuple[int | None, int | None]:
    """The numbers of heads, and of those of keys, that the nearest module which tells the first one tells."""
    for module in modules:
        holders = (module, getattr(module, "config", None))
        if count := _number(holders, _COUNT):
            return count, _number(holders, _KEYS)
    return None, None


def _number(holders: Iterable[Any], names: tuple[str, ...]) -> int | None:
    found = (getattr(holder, name, None) for holder in holders for name in names)
    return next((n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 0), None)


def _inputs(modules: list[torch.nn.Module], but: torch.Tensor) -> Iterator[int]:
    """What the other layers of these modules take."""
    for module in modules:
        for layer in module.modules():
            w = getattr(layer, "weight", None)
            if isinstance(w, torch.Tensor) and w.ndim == 2 and w is not but:
                yield w.shape[_inputs_of(layer)]


def _inputs_of(layer: torch.nn.Module) -> int:
    return -2 if type(layer).__name__ == "Conv1D" else -1  # transformers' Conv1D keeps (inputs, outputs)


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
