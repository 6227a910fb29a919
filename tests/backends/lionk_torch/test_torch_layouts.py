"""Parameters that hold several matrices: what ``groups`` recognises, and per-head Muon along a training run."""

from __future__ import annotations

import math

import pytest
import torch

import lionk
import lionk_torch
from lionk_torch import LionK


class Attention(torch.nn.Module):
    """As timm and GPT-2 have it: one projection for q, k and v."""

    def __init__(self, width, heads, keys=None, fused="qkv"):
        super().__init__()
        self.num_heads, self.num_kv_heads = heads, keys or heads
        self.size = width // heads
        setattr(self, fused, torch.nn.Linear(width, (heads + 2 * self.num_kv_heads) * self.size, bias=False))
        self.proj = torch.nn.Linear(width, width, bias=False)
        self.fused = fused

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = getattr(self, self.fused)(x).split(
            [self.num_heads * self.size] + [self.num_kv_heads * self.size] * 2, -1
        )
        q, k, v = (t.view(b, n, -1, self.size).transpose(1, 2) for t in (q, k, v))
        return self.proj(torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, w))


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm, self.attn = torch.nn.LayerNorm(width), Attention(width, heads)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, x):
        x = x + self.attn(self.norm(x))
        return x + self.mlp(x)


class Conv1D(torch.nn.Module):
    """transformers' layer, whose weight is (inputs, outputs)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(inputs, outputs))


class GPT2(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.num_heads, self.c_attn, self.c_proj = 2, Conv1D(8, 24), Conv1D(8, 8)


def chosen(model, **options):
    lines = []
    groups = lionk_torch.groups(model, report=lines.append, **options)
    specs = {id(p): g["K"] for g in groups for p in g["params"]}
    return {n: specs[id(p)] for n, p in model.named_parameters()}, {line.split()[0]: line for line in lines}


def block(axis, sections, k="nuclear"):
    return {"name": "block_lift", "axis": axis, "sections": sections, "k": {"name": k} if isinstance(k, str) else k}


def test_fused_projections_are_split_and_the_report_says_why():
    specs, lines = chosen(torch.nn.ModuleDict({"attn": Attention(8, 2)}))
    assert specs["attn.qkv.weight"] == block(-2, 3)
    assert specs["attn.proj.weight"] == "nuclear"
    assert lines["attn.qkv.weight"].endswith("s_1(X) <= 1/lam, for each of 3 slices along axis -2 (q, k and v)")


def test_heads_on_request():
    specs, lines = chosen(torch.nn.ModuleDict({"attn": Attention(8, 2)}), parts="heads")
    assert specs["attn.qkv.weight"] == block(-2, 3, block(-2, 2))
    assert specs["attn.proj.weight"] == block(-1, 2)
    assert "2 heads along the inputs" in lines["attn.proj.weight"]


def test_grouped_queries():
    specs, _ = chosen(torch.nn.ModuleDict({"attn": Attention(16, 4, 2)}))
    assert specs["attn.qkv.weight"] == block(-2, (16, 8, 8))
    specs, _ = chosen(torch.nn.ModuleDict({"attn": Attention(16, 4, 2)}), parts="heads")
    assert specs["attn.qkv.weight"] == block(-2, 8)


def of_thirds(r, heads, keys):
    return r.split([heads * 2, keys * 2, keys * 2])


def of_heads(r, heads, keys):
    """GPT-NeoX, BLOOM, MiniMax, GPTBigCode of many heads, DeBERTa, TinyViT, timm with head_first."""
    return r.view(heads, 3, 2).unbind(1)


def of_groups(r, heads, keys):
    """Falcon, Megatron, InternLM2: the queries of one head of keys, that head, and its values."""
    return r.view(keys, heads // keys + 2, 2).split([heads // keys, 1, 1], 1)


def of_codegen(r, heads, keys):
    q, v, k = r.view(4, -1).split(heads * 2 // 4, 1)
    return q, k, v


# What reads the rows of the projection, and what the module says: its layer's name, heads, heads of keys, flags, inputs
ORDERS = [
    (of_thirds, "qkv", 3, None, {}, 6), (of_thirds, "to_qkv", 3, None, {}, 10), (of_thirds, "Wqkv", 4, 2, {}, 8),
    (of_thirds, "c_attn", 4, None, {}, 8), (of_thirds, "qkv", 6, 3, {}, 20), (of_thirds, "qkv_proj", 4, None, {}, 8),
    (of_thirds, "qkv_proj", 4, 2, {}, 8), (of_thirds, "W_pack", 4, None, {}, 8), (of_thirds, "wqkv", 4, 2, {}, 8),
    (of_thirds, "query_key_value", 4, 2, {}, 8), (of_thirds, "c_attn", 4, 1, {"multi_query": True}, 8),
    (of_heads, "c_attn", 4, 4, {"multi_query": False}, 8), (of_heads, "qkv", 3, None, {"head_first": True}, 6),
    (of_heads, "qkv", 3, None, {"key_dim": 2, "val_dim": 2}, 6), (of_heads, "in_proj", 3, None, {}, 6),
    (of_heads, "qkv_proj", 3, None, {}, 6), (of_heads, "query_key_value", 3, None, {}, 6),
    (of_heads, "query_key_value", 3, 3, {}, 10), (of_groups, "query_key_value", 6, 3, {}, 12),
    (of_groups, "query_key_value", 6, 1, {}, 12), (of_groups, "wqkv", 6, 2, {}, 12),
    (of_groups, "linear_qkv", 4, 2, {}, 8), (of_codegen, "qkv_proj", 4, None, {}, 8),
    (of_codegen, "qkv_proj", 8, None, {}, 16),
]  # fmt: skip


def flat_parts(spec, n):
    """The rows of each part of a spec, by its documented meaning."""
    if spec == "nuclear":
        return [torch.arange(n)]
    sections, inside = spec["sections"], spec["k"]
    sizes = [n // sections] * sections if isinstance(sections, int) else list(sections)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    inner = inside if inside.get("sections") else "nuclear"
    return [a + part for a, size in zip(starts, sizes, strict=True) for part in flat_parts(inner, size)]


@pytest.mark.parametrize("parts", ["fused", "heads"])
@pytest.mark.parametrize(("order", "name", "heads", "keys", "flags", "width"), ORDERS)
def test_no_part_of_a_fused_projection_mixes_q_k_and_v(order, name, heads, keys, flags, width, parts):
    """Each part has rows of one of q, k and v, and with parts="heads" those of one head, however the model has them."""
    n = 2 * (heads + 2 * (keys or heads))
    layers = {name: torch.nn.Linear(width, n, bias=False), "dense": torch.nn.Linear(2 * heads, width, bias=False)}
    attention = type("SelfAttention", (torch.nn.ModuleDict,), {})(layers)
    for key, value in ({"num_attention_heads": heads} | ({"num_kv_heads": keys} if keys else {}) | flags).items():
        setattr(attention, key, value)
    specs, lines = chosen(torch.nn.ModuleDict({"attn": attention}), parts=parts)
    found = flat_parts(specs[f"attn.{name}.weight"], n)
    assert torch.equal(torch.cat(found), torch.arange(n)) and len(found) > 1
    owner, head = torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
    for which, rows in enumerate(order(torch.arange(n), heads, keys or heads)):
        owner[rows.flatten()], head[rows.flatten()] = which, torch.arange(rows.numel()) // 2
    for rows in found:
        assert len(owner[rows].unique()) == 1
        assert parts == "fused" or len(head[rows].unique()) == 1
    assert "q, k and v" in lines[f"attn.{name}.weight"]


@pytest.mark.parametrize("parts", ["fused", "heads"])
def test_q_k_and_v_in_an_order_that_nothing_tells_are_taken_whole_and_the_report_says_how_to_name_them(parts):
    mlp = torch.nn.Module()
    mlp.query_key_value, mlp.qkv = torch.nn.Linear(4, 12), torch.nn.Linear(4, 12)  # nobody says of how many heads
    mixer = torch.nn.Module()  # EfficientFormer: v is four times as large as k; GCViT: no q
    mixer.num_heads, mixer.key_dim, mixer.qkv, mixer.proj = 2, 3, torch.nn.Linear(6, 36), torch.nn.Linear(24, 6)
    later = torch.nn.Module()
    later.num_heads, later.qkv, later.proj = 2, torch.nn.Linear(6, 12), torch.nn.Linear(6, 6)
    model = torch.nn.ModuleDict({"mlp": mlp, "mixer": mixer, "later": later})
    specs, lines = chosen(model, parts=parts)
    assert specs["mlp.qkv.weight"] == block(-2, 3)
    for name, unknown in (("mlp.query_key_value", "order"), ("mixer.qkv", "sizes"), ("later.qkv", "sizes")):
        assert specs[f"{name}.weight"] == "nuclear"
        assert f"taken whole, the {unknown} of its q, k and v being unknown" in lines[f"{name}.weight"]
    rule = lines["mlp.query_key_value.weight"].partition("such as ")[2].removesuffix(" tells)")
    specs, _ = chosen(model, rules=[eval(rule), *lionk_torch.MUON])  # as it is printed
    assert specs["mlp.query_key_value.weight"] == {"name": "muon", "sections": 3}


def test_the_heads_of_a_configuration_are_those_of_the_module_that_tells_them():
    """transformers' modules keep a config; the numbers of another model, further up, are not mixed in."""
    attention = torch.nn.ModuleDict({"query_key_value": torch.nn.Linear(8, 24), "dense": torch.nn.Linear(8, 8)})
    attention.config = type("Config", (), {"num_attention_heads": 4})()
    layer = torch.nn.ModuleDict({"attention": attention})
    layer.num_heads, layer.num_kv_heads = 2, 1
    assert chosen(torch.nn.ModuleList([layer]))[0]["0.attention.query_key_value.weight"] == block(-2, 12)


class OwnAttention(torch.nn.Module):
    """As OpenCLIP has it: the fused projection is the module's own parameter."""

    def __init__(self, width, heads):
        super().__init__()
        self.num_heads, self.in_proj_weight = heads, torch.nn.Parameter(torch.randn(3 * width, width))
        self.out_proj = torch.nn.Linear(width, width)


def test_projections_that_are_the_module_s_own_parameters():
    model = torch.nn.ModuleDict({"attn": OwnAttention(8, 2)})
    assert chosen(model)[0]["attn.in_proj_weight"] == block(-2, 3)
    specs = chosen(model, parts="heads")[0]
    assert specs["attn.in_proj_weight"] == block(-2, 3, block(-2, 2)) and specs["attn.out_proj.weight"] == block(-1, 2)


def test_an_in_proj_that_is_none_of_q_k_and_v_is_left_whole():
    """Mamba's has a gate, a state and more in it."""
    mixer = torch.nn.Module()
    mixer.num_heads, mixer.in_proj = 2, torch.nn.Linear(8, 24)
    assert chosen(torch.nn.ModuleDict({"mixer": mixer}))[0]["mixer.in_proj.weight"] == "nuclear"


def test_pytorch_s_own_attention():
    model = torch.nn.TransformerEncoderLayer(8, 2, 16)
    specs, lines = chosen(model)
    assert specs["self_attn.in_proj_weight"] == block(-2, 3)
    assert specs["linear1.weight"] == specs["self_attn.out_proj.weight"] == "nuclear"
    assert "(q, k and v)" in lines["self_attn.in_proj_weight"]
    specs, _ = chosen(model, parts="heads")
    assert specs["self_attn.in_proj_weight"] == block(-2, 3, block(-2, 2))
    assert specs["self_attn.out_proj.weight"] == block(-1, 2)
    other = torch.nn.MultiheadAttention(8, 4, kdim=6, vdim=6)
    assert chosen(other, parts="heads")[0]["k_proj_weight"] == block(-2, 4)


def test_weights_stored_as_inputs_by_outputs():
    specs, _ = chosen(torch.nn.ModuleDict({"attn": GPT2()}))
    assert specs["attn.c_attn.weight"] == block(-1, 3)
    assert specs["attn.c_proj.weight"] == "nuclear"


def test_convolutions_experts_and_gains():
    model = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(4, 8, 3, groups=2), "plain": torch.nn.Conv1d(4, 8, 3)})
    model.experts = torch.nn.Parameter(torch.randn(5, 4, 3))
    model.gain, model.token = torch.nn.Parameter(torch.ones(8, 1, 1)), torch.nn.Parameter(torch.zeros(1, 1, 8))
    model.position = torch.nn.Parameter(torch.zeros(1, 7, 8))
    specs, lines = chosen(model)
    kernel = {"name": "kernel_lift", "k": {"name": "nuclear"}}
    assert specs["conv.weight"] == block(0, 2, kernel)
    assert "2 groups of Conv2d" in lines["conv.weight"]
    assert specs["plain.weight"] == {"name": "kernel_lift", "k": "nuclear"}
    assert specs["experts"] == "nuclear"
    assert specs["gain"] == specs["token"] == specs["position"] == "l1"
    assert lionk.K("nuclear")(model.experts.detach()) == pytest.approx(
        sum(float(lionk.K("nuclear")(e)) for e in model.experts.detach()), rel=1e-6
    )


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_each_gate_of_a_recurrent_layer_is_a_matrix(kind, gates):
    """In the layer and in its cell; the projection of an LSTM has no gates."""
    layer, cell = getattr(torch.nn, kind), getattr(torch.nn, f"{kind}Cell")
    projected = {"proj_size": 2} if kind == "LSTM" else {}
    specs, lines = chosen(
        torch.nn.ModuleDict({"layer": layer(3, 4, bidirectional=True, **projected), "cell": cell(3, 4)})
    )
    for name, spec in specs.items():
        last = name.rpartition(".")[2]
        if last.startswith("bias"):
            assert spec == "l1"
        elif gates == 1 or "weight_hr" in last:
            assert spec == "nuclear"
        else:
            assert spec == block(-2, gates)
            assert f"{gates} gates of {kind}" in lines[name]


def test_what_the_user_names_is_taken_as_it_is():
    model = torch.nn.ModuleDict({"attn": Attention(8, 2)})
    rules = [("*.qkv.weight", {"name": "muon", "sections": 6}), (2, "muon")]
    specs, _ = chosen(model, rules=rules)
    assert specs["attn.qkv.weight"] == {"name": "muon", "sections": 6}
    assert chosen(model, rules=[(2, "muon")])[0]["attn.qkv.weight"]["sections"] == 3
    assert chosen(model, parts=None)[0]["attn.qkv.weight"] == "nuclear"
    with pytest.raises(ValueError, match="parts"):
        chosen(model, parts="all")


def msign(x):
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    return u @ v


def largest(model, parts):
    """The largest singular value of the fused projections, or of any of so many parts of each."""
    fused = (p.detach() for n, p in model.named_parameters() if n.endswith("qkv.weight"))
    return max(torch.linalg.matrix_norm(part, 2).item() for p in fused for part in p.chunk(parts))


def test_per_head_muon_of_a_transformer_is_a_loop_over_heads_and_keeps_its_bound():
    """Heads of q, k and v along the outputs, of the output projection along the inputs, by a loop written out here."""
    torch.manual_seed(0)
    width, heads, lr, lam, b = 12, 3, 0.05, 1.5, 0.9
    model = torch.nn.Sequential(Block(width, heads), Block(width, heads)).double()
    twin = torch.nn.Sequential(Block(width, heads), Block(width, heads)).double()
    twin.load_state_dict(model.state_dict())
    opt = LionK(lionk_torch.groups(model, parts="heads", report=None), lr, (b * b, b), lam)
    moments = {n: torch.zeros_like(p) for n, p in twin.named_parameters()}
    x, y = torch.randn(4, 5, width, dtype=torch.float64), torch.randn(4, 5, width, dtype=torch.float64)

    def loop(name, r):
        if name.endswith("qkv.weight"):
            return torch.cat([msign(part) for part in r.chunk(3 * heads, 0)])
        if name.endswith("proj.weight"):
            return torch.cat([msign(part) for part in r.chunk(heads, 1)], 1)
        return msign(r) if r.ndim == 2 else r.sign()

    before = largest(model, 3 * heads)
    for _ in range(12):
        for net in (model, twin):
            net.zero_grad()
            (net(x) - y).square().mean().backward()
        opt.step()
        with torch.no_grad():
            for name, p in twin.named_parameters():
                m = moments[name]
                p.add_(loop(name, b * b * m - (1 - b * b) * p.grad) - lam * p, alpha=lr)
                m.mul_(b).sub_((1 - b) * p.grad)
        size = largest(model, 3 * heads)
        assert size <= (1 - lr * lam) * before + lr + 1e-12, "each head, in phase I"
        assert largest(model, 1) <= math.sqrt(3 * heads) * size * (1 + 1e-12), "the whole"
        before = size
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10)


class Mixed(torch.nn.Module):
    """Parameters that hold several matrices, each in its own way."""

    def __init__(self):
        super().__init__()
        self.attn = Attention(16, 4, 2)
        self.up, self.down = torch.nn.ConvTranspose1d(4, 6, 3, groups=2), torch.nn.Conv1d(4, 8, 3, groups=2)
        self.lstm, self.gru = torch.nn.LSTM(5, 4, proj_size=2), torch.nn.GRUCell(5, 4)
        self.experts = torch.nn.Parameter(torch.randn(3, 5, 4))

    def forward(self, x, z):
        b, n, _ = x.shape
        q, k, v = (t.view(b, n, -1, 4).transpose(1, 2) for t in self.attn.qkv(x).split([16, 8, 8], -1))
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        out = [self.attn.proj(seen.transpose(1, 2).flatten(2)), self.up(x[:, :4]), self.down(x[:, :4])]
        out += [self.lstm(z)[0], self.gru(z[0], self.gru(z[1])), torch.einsum("eij,bj->ebi", self.experts, x[0, :, :4])]
        return sum(o.square().mean() for o in out)


def kernel(part):
    return msign(part.flatten(1)).reshape(part.shape)


MIXED = {  # sizes of the parts, their axis, and what is made of each
    "attn.qkv.weight": ([16, 8, 8], 0, msign), "attn.proj.weight": (16, 0, msign), "up.weight": (2, 0, kernel),
    "down.weight": (4, 0, kernel), "lstm.weight_ih_l0": (4, 0, msign), "lstm.weight_hh_l0": (4, 0, msign),
    "lstm.weight_hr_l0": (2, 0, msign), "gru.weight_ih": (4, 0, msign), "gru.weight_hh": (4, 0, msign),
    "experts": (1, 0, lambda part: msign(part[0])[None]),
}  # fmt: skip


@pytest.mark.parametrize("heads", [False, True])
def test_muon_of_every_layout_is_a_loop_over_its_parts_and_keeps_its_bounds(heads):
    """Grouped queries, unequal sizes, gates, groups of both convolutions, experts."""
    torch.manual_seed(0)
    model, twin = Mixed().double(), Mixed().double()
    twin.load_state_dict(model.state_dict())
    parts = {**MIXED, "attn.qkv.weight": (4, 0, msign), "attn.proj.weight": (4, 1, msign)} if heads else MIXED
    lr, lam, b = 0.05, 1.5, 0.9
    opt = LionK(lionk_torch.groups(model, parts="heads" if heads else "fused", report=None), lr, (b * b, b), lam)
    moments = {n: torch.zeros_like(p) for n, p in twin.named_parameters()}
    x, z = torch.randn(5, 20, 16, dtype=torch.float64), torch.randn(4, 6, 5, dtype=torch.float64)
    monitor = lionk_torch.watch(opt, model)
    before = monitor.read()
    for _ in range(8):
        for net in (model, twin):
            net.zero_grad()
            net(x, z).backward()
        opt.step()
        with torch.no_grad():
            for name, p in twin.named_parameters():
                m = moments[name]
                r = b * b * m - (1 - b * b) * p.grad
                if name in parts:
                    sizes, axis, f = parts[name]
                    u = torch.cat([f(part) for part in r.split(sizes, axis)], axis)
                else:
                    u = r.sign()
                p.add_(u - lam * p, alpha=lr)
                m.mul_(b).sub_((1 - b) * p.grad)
        now = monitor.read()
        for key in [k for k in now if k.endswith("gauge")]:
            assert now[key] <= (1 - lr * lam) * before[key] + lr * lam + 1e-12, key
        before = now
    assert {k.rpartition("/")[0] for k in before if k.endswith("gauge")} == set(moments)
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-8, atol=1e-9, msg=name)
