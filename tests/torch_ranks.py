"""The processes of test_torch_sharded.py: ``python torch_ranks.py FOLDER "WORLD CLAIM..." ...``, world after world.

Claims are functions whose asserts hold at every rank; each that held is written to ``said{world}-{rank}``. To import
PyTorch, and what the first step imports and compiles, takes longer than the claims: it is done once, and the ranks are
forked.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import re
import runpy
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import lionk
from lionk_torch import LionK, groups
from lionk_torch.distributed.sharded import whole

RULES = [(2, {"K": "nuclear"}), (4, {"name": "kernel_lift", "k": "row_l1_l2"})]
FULL = os.environ.get("LIONK_FULL") == "1"
LARGE = (512, 600), "float32", {"name": "huber", "delta": 0.5}  # of which the whole takes a compiled loop
LINES = {"rows": [Shard(0)], "columns": [Shard(1)], "replicated": [Replicate()], "plain": None}
GRIDS = {
    "blocks": [Shard(0), Shard(1)],
    "rows twice": [Shard(0), Shard(0)],
    "copies of rows": [Replicate(), Shard(0)],
    "columns and copies": [Shard(1), Replicate()],
    "plain": None,
}


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 3, 2), torch.nn.Flatten(), torch.nn.Linear(27, 5), torch.nn.Linear(5, 2)
    return torch.nn.Sequential(*layers).double()


def loss(model, step):
    return (model(random(4, 1, 4, 4, seed=step)) ** 2).sum()


def train(model, opt, first, last):
    for step in range(first, last):
        opt.zero_grad()
        loss(model, step).backward()
        opt.step()


def layouts_agree(mesh, layouts, shape, K, exact, dtype=torch.float64, **options):
    """One step after another in every layout, mixed in one group, against the unsharded ones."""
    one = torch.nn.Parameter(random(*shape, seed=0).to(dtype))
    many = {}
    for name, layout in layouts.items():
        x = one.detach().clone()
        many[name] = torch.nn.Parameter(x if layout is None else distribute_tensor(x, mesh, layout))
    opt, reference = (LionK(ps, 0.1, weight_decay=0.5, K=K, **options) for ps in (list(many.values()), [one]))
    for step in range(3 if FULL or options else 2):  # of these some keep more than the momentum from step to step
        g = random(*shape, seed=step + 1).to(dtype)
        one.grad = g.clone()
        for name, p in many.items():
            layout = layouts[name]
            p.grad = g.clone() if layout is None else distribute_tensor(g, mesh, layout)
        name = next(iter(layouts))  # another layout than the parameter
        many[name].grad = distribute_tensor(g, mesh, [Replicate()] * mesh.ndim)
        opt.step()
        reference.step()
    for name, p in many.items():
        assert type(p.data) is (torch.Tensor if name == "plain" else DTensor)
        for got, want in (p.detach(), one.detach()), (opt.state[p]["m"], reference.state[one]["m"]):
            if exact:
                assert torch.equal(whole(got), want), (K, name)
            else:
                torch.testing.assert_close(whole(got), want, rtol=1e-12, atol=1e-13)
    assert opt.certificate()[0].phase == reference.certificate()[0].phase
    return opt


def uneven_pieces(mesh):
    """Gathered, where dK is more than entries. On four ranks one has no row."""
    for k in ("l1", {"name": "huber", "delta": 0.5}, lionk.K("weighted_l1", weights=random(3, seed=9).abs())):
        layouts_agree(mesh, LINES, (5, 3), k, exact=True)
    for k in ("l2", {"name": "top_k", "k": 4}, "nuclear"):
        layouts_agree(mesh, LINES, (5, 3), k, exact=False)


def even_pieces(mesh):
    for K in ("l1", "softplus"):
        layouts_agree(mesh, LINES, (8, 4), K, exact=True)
    shape, dtype, K = LARGE
    large = {name: LINES[name] for name in ("rows", "plain")}
    layouts_agree(mesh, large, shape, K, exact=True, dtype=getattr(torch, dtype))
    for K in ("l2", "linf", {"name": "top_k", "k": 5}, "log_sum_exp", "row_l1_l2", "owl", "nuclear"):
        layouts_agree(mesh, LINES, (8, 4), K, exact=False)


def blocks_on_one_rank(mesh):
    """Heads and experts that lie on one rank each need nothing of the others; heads that do not are gathered."""
    for K, shape, silent in (
        ({"name": "muon", "sections": 8}, (16, 3), True),
        ({"name": "muon", "sections": 4, "heads": 2}, (16, 3), True),
        ({"name": "block_lift", "k": "nuclear", "axis": 0, "sections": 3}, (12, 5), False),
        ("nuclear", (4, 3, 5), True),
        ({"name": "muon", "sections": 2}, (16, 3), mesh.size() == 2),
    ):
        layouts_agree(mesh, LINES, shape, K, exact=False)
        p = torch.nn.Parameter(distribute_tensor(random(*shape, seed=1), mesh, [Shard(0)]))
        p.grad = distribute_tensor(random(*shape, seed=2), mesh, [Shard(0)])
        with CommDebugMode() as sent:
            LionK([p], 0.1, K=K).step()
        assert (sent.get_total_counts() == 0) == silent, (K, sent.get_total_counts())


def numbers_only(mesh):
    """What is sent for a K of sums, extremes and order: numbers, and counts of bytes; never the entries."""
    x = random(8, 4, seed=3)
    x[0, 0] = x[5, 1] = x[7, 2] = -1.25  # ties
    reduce = ["l2", "lp", "log_sum_exp", "huber_l2", "smooth_linf", "l1_plus_l2", "half_l1_squared"]
    order = ["linf", "max", "half_linf_squared", *({"name": n, "k": 7} for n in ("top_k", "capped_simplex"))]
    rows = ["row_l1_l2", "col_l1_l2", "group_huber", "group_linf_l2", "half_group_squared"]
    kinds = (torch.float64, Shard(0)), (torch.float32, Shard(1)), (torch.bfloat16, Shard(0))
    for place, K in enumerate([*reduce, *order, *rows]):
        for dtype, layout in kinds:
            if K in ("l2", "linf") or dtype == kinds[place % 2][0] or (FULL and dtype != torch.bfloat16):
                p = torch.nn.Parameter(distribute_tensor(0 * x.to(dtype), mesh, [layout]))
                p.grad = distribute_tensor(-x.to(dtype), mesh, [layout])
                opt = LionK([p], 1.0, (0.0, 0.0), K=K)
                with CommDebugMode() as sent:
                    opt.step()
                assert set(map(str, sent.get_comm_counts())) <= {"c10d_functional.all_reduce"}, (K, sent)
                want = lionk.K(K).subgradient(x.to(dtype))
                torch.testing.assert_close(whole(p.detach()), want, msg=lambda m, K=K: f"{K}: {m}")


def entries_in_order(mesh):
    from lionk_torch.distributed.spread import nth

    for dtype in (torch.float32, torch.float64):
        special = [0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-40, -1e-40, 1.0, 1.0]
        x = torch.cat([random(7, seed=1), torch.tensor(special, dtype=torch.float64)]).to(dtype)
        got = torch.stack([nth(distribute_tensor(x, mesh, [Shard(0)]), n).to_local() for n in range(-1, len(x) - 1)])
        want = x.sort().values.roll(1)
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)


def matrices_shared_out(mesh):
    """Each matrix is decomposed by one rank, each rank has about as many, and the result is that of one process."""
    shapes = [(6, 4), (4, 6), (5, 3), (3, 3), (8, 2), (4, 4), (2, 2, 4, 4)]
    ones = [torch.nn.Parameter(random(*s, seed=i)) for i, s in enumerate(shapes)]
    rows = [[Shard(p.ndim - 2)] for p in ones]  # of a stack, whose matrices are not on one rank each
    many = [torch.nn.Parameter(distribute_tensor(p.detach().clone(), mesh, r)) for p, r in zip(ones, rows, strict=True)]
    for i, (p, q) in enumerate(zip(ones, many, strict=True)):
        p.grad = random(*p.shape, seed=i + 50)
        q.grad = distribute_tensor(p.grad, mesh, rows[i])
    LionK(ones, 0.1, K="nuclear").step()
    calls, opt = [], LionK(many, 0.1, K="nuclear")
    K = opt._known.make(opt.param_groups[0]).method.K
    plain = type(K).subgradient
    type(K).subgradient = lambda self, r: calls.append(r.shape) or plain(self, r)
    try:
        opt.step()
    finally:
        type(K).subgradient = plain
    assert len(calls) in (len(shapes) // mesh.size(), -(-len(shapes) // mesh.size())), calls
    for p, q in zip(ones, many, strict=True):
        torch.testing.assert_close(whole(q.detach()), p.detach(), rtol=1e-12, atol=1e-13)


def sixteen_bits_and_cautious_pieces(mesh):
    """Remainders are placed like the parameters; random numbers are those of the whole."""
    half = {"dtype": torch.bfloat16, "exact": True}
    opt = layouts_agree(mesh, LINES, (8, 4), "l1", rounding="kahan", state_dtype="float32", **half)
    layouts_agree(mesh, LINES, (5, 3), "huber", rounding="kahan", **half)
    for p, state in opt.state.items():
        low = state["low"]
        assert type(low) is type(p.data) and getattr(low, "placements", 0) == getattr(p, "placements", 0)
    layouts_agree(mesh, LINES, (8, 4), "l1", exact=True, cautious="mask")
    layouts_agree(mesh, LINES, (8, 4), "nuclear", exact=False, cautious_decay=True)
    for K in ("l1", "nuclear", "l2"):
        layouts_agree(mesh, LINES, (8, 4), K, exact=K == "l1", convention="coupled", maximize=True, cautious="mask")
    for name in ("rows", "columns", "replicated"):  # one by one: a parameter has random numbers of its own
        layouts_agree(mesh, {name: LINES[name]}, (8, 4), "l1", rounding="stochastic", **half)
        layouts_agree(mesh, {name: LINES[name]}, (5, 3), "huber", rounding="stochastic", state_dtype="float32", **half)
    p = torch.nn.Parameter(distribute_tensor(torch.ones(64, 8, dtype=torch.bfloat16), mesh, [Shard(0)]))
    p.grad = torch.ones_like(p)
    LionK([p], 2**-10, rounding="stochastic", seed=1).step()
    assert set(whole(p.detach()).unique().tolist()) == {1.0, 1 - 2**-8}


def norms_and_means_of_the_whole(mesh):
    """Norms and the rescaled mask send a number of each piece, also of one without entries."""
    once, twice = [{"cautious": "rescale"}, {"mars": 0.5}], [{"radial_brake": 0.5}, {"relative": True}]
    cases = ((8, 4), "l1"), ((5, 3), "huber"), ((8, 4), "nuclear")
    for place, options in enumerate((*once, *twice, {"hyperball": 2.0})):
        for shape, K in cases if FULL else (cases[place % 3], cases[(place + 1) % 3]):
            opt = layouts_agree(mesh, LINES, shape, K, exact=False, **options)
            for p, state in opt.state.items():
                last = state.get("last_grad", p)
                assert getattr(last, "placements", None) == getattr(p, "placements", None)
        p = torch.nn.Parameter(distribute_tensor(random(8, 4, seed=0), mesh, [Shard(0)]))
        p.grad = p.detach().clone()
        opt = LionK([p], **options)
        with CommDebugMode() as sent:
            opt.step()
        assert sent.get_total_counts() == (1 if options in once else 2)
        assert set(map(str, sent.get_comm_counts())) == {"c10d_functional.all_gather_into_tensor"}


def grids(mesh):
    """Two axes of sharding at once; FSDP of tensor parallel layers."""
    grid = init_device_mesh("cpu", (2, mesh.size() // 2), mesh_dim_names=("data", "model"))
    for K, exact in ("l1", True), ("l2", False), ({"name": "top_k", "k": 5}, False), ("nuclear", False):
        layouts_agree(grid, GRIDS, (5, 3), K, exact)
        if K == "l1" or FULL:
            layouts_agree(grid, GRIDS, (8, 4), K, exact)
    for name in ("blocks", "rows twice", "columns and copies"):
        layouts_agree(grid, {name: GRIDS[name]}, (5, 3), "l1", rounding="stochastic", dtype=torch.bfloat16, exact=True)
    for K, exact in ("l1", True), ("nuclear", False), *((("row_l1_l2", False),) if FULL else ()):
        torch.manual_seed(1)
        plain = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)).double()
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)).double()
        parallelize_module(model, grid["model"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
        fully_shard(model, mesh=grid["data"])
        rules = [(2, K)]
        a, b = (LionK(groups(m, rules, report=None), 1e-2, weight_decay=0.1) for m in (plain, model))
        for step in range(3):
            g = [random(*p.shape, seed=10 * step + i) for i, p in enumerate(plain.parameters())]
            for p, q, one in zip(plain.parameters(), model.parameters(), g, strict=True):
                p.grad = one
                q.grad = distribute_tensor(one, q.device_mesh, q.placements)
            a.step()
            b.step()
        for p, q in zip(plain.parameters(), model.parameters(), strict=True):
            got = whole(q.detach())
            if exact:
                assert torch.equal(got, p.detach())
            else:
                torch.testing.assert_close(got, p.detach(), rtol=1e-12, atol=1e-13)


def sharded_net(mesh):
    model = net()
    for layer in model:
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def files(model, opt):
    return {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, opt)}


def fully_sharded(mesh, folder):
    """FSDP2 against one process, then a checkpoint: the rest of the run is made elsewhere, from the files."""
    plain, model = net(), sharded_net(mesh)
    for rules in ([], RULES):
        a = LionK(groups(plain, rules, report=None), 1e-2, weight_decay=0.1)
        b = LionK(groups(model, rules, report=None), 1e-2, weight_decay=0.1)
        train(plain, a, 0, 3)
        train(model, b, 0, 3)
        for p, q in zip(plain.parameters(), model.parameters(), strict=True):
            assert isinstance(q, DTensor)
            if rules:
                torch.testing.assert_close(whole(q.detach()), p.detach(), rtol=1e-12, atol=1e-13)
            else:
                assert torch.equal(whole(q.detach()), p.detach())
    checkpoint.save(files(model, b), checkpoint_id=folder / f"checkpoint{mesh.size()}")
    saved = [(whole(q.detach()), whole(b.state[q]["m"])) for q in model.parameters()]
    train(plain, a, 3, 6)
    if dist.get_rank() == 0:
        torch.save([p.detach() for p in plain.parameters()], folder / "expected.pt")
        torch.save(saved, folder / f"saved{mesh.size()}.pt")


def resumed(mesh, folder):
    """A run of four ranks goes on with two: with the same bits, to the end of the run of one."""
    model = sharded_net(mesh)
    opt = LionK(groups(model, RULES, report=None), 0.5)
    state = files(model, opt)
    checkpoint.load(state, checkpoint_id=folder / "checkpoint4")
    model.load_state_dict(state["model"])
    set_optimizer_state_dict(model, opt, state["optimizer"])
    assert opt.param_groups[0]["lr"] == 1e-2
    for q, (x, m) in zip(model.parameters(), torch.load(folder / "saved4.pt"), strict=True):
        assert torch.equal(whole(q.detach()), x)
        assert torch.equal(whole(opt.state[q]["m"]), m)
    train(model, opt, 3, 6)
    for q, expected in zip(model.parameters(), torch.load(folder / "expected.pt"), strict=True):
        torch.testing.assert_close(whole(q.detach()), expected, rtol=1e-11, atol=1e-12)


def the_other_is_killed(rank):
    """The connection that it leaves is an error at once, not after the timeout."""
    sys.stdout.flush()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    p = torch.nn.Parameter(torch.ones(6))
    p.grad = torch.ones(6)
    opt, start = LionK([p], exchange="majority"), time.monotonic()
    try:
        opt.step()
    except RuntimeError:
        assert time.monotonic() - start < 30
        sys.stdout.write("held: the_other_is_killed\n")
        sys.stdout.flush()
        os._exit(0)  # the group is of no use any more
    raise AssertionError


def the_example_learns():
    """docs/examples/torchrun/train.py, between the start and the end of a group of its own, which torchrun brings."""
    example = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "examples" / "torchrun" / "train.py"))
    group = example["main"].__globals__["dist"]
    with (
        mock.patch.object(sys, "argv", ["train.py", "--steps", "40"]),
        mock.patch.object(group, "init_process_group"),
        mock.patch.object(group, "destroy_process_group"),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        example["main"]()
    if dist.get_rank() == 0:
        first, last = (float(v) for v in re.search(r"loss (\S+) -> (\S+)", said.getvalue()).groups())
        assert last < first


CLAIMS = {
    "uneven_pieces": uneven_pieces,
    "even_pieces": even_pieces,
    "blocks_on_one_rank": blocks_on_one_rank,
    "entries_in_order": entries_in_order,
    "matrices_shared_out": matrices_shared_out,
    "sixteen_bits_and_cautious_pieces": sixteen_bits_and_cautious_pieces,
    "norms_and_means_of_the_whole": norms_and_means_of_the_whole,
}


def main(rank, world, folder, chosen):
    with open(folder / f"said{world}-{rank}", "wb") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world, timeout=timedelta(seconds=60)
    )
    torch.set_num_threads(1)
    mesh = init_device_mesh("cpu", (world,))
    import torch_votes

    claims = {name: lambda c=claim: c(mesh) for name, claim in CLAIMS.items()}
    claims |= {name: lambda c=claim: c() for name, claim in torch_votes.CLAIMS.items()}
    claims["each_its_own_momentum"] = lambda: torch_votes.each_its_own_momentum(folder)
    claims |= {
        "numbers_only": lambda: numbers_only(mesh),
        "grids": lambda: grids(mesh),
        "votes_of_pieces": torch_votes.votes_of_pieces,
        "fully_sharded": lambda: fully_sharded(mesh, folder),
        "resumed": lambda: resumed(mesh, folder),
        "the_example_learns": the_example_learns,
    }
    for name in chosen:
        claims[name]()
        sys.stdout.write(f"held: {name}\n")
    dist.barrier()
    if world == 2:
        the_other_is_killed(rank)
    dist.destroy_process_group()


if __name__ == "__main__":
    shape, dtype, K = LARGE
    for x, options in (torch.ones(2), {}), (torch.ones(shape, dtype=getattr(torch, dtype)), {"K": K}):
        p = torch.nn.Parameter(x)
        p.grad = torch.ones_like(p)
        LionK([p], weight_decay=0.5, **options).step()
    fork = multiprocessing.get_context("fork").Process
    for world, *chosen in map(str.split, sys.argv[2:]):
        args = int(world), Path(sys.argv[1]), chosen
        ranks = [fork(target=main, args=(rank, *args)) for rank in range(int(world))]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        sys.stdout.write(f"ended of {world}: {[rank.exitcode for rank in ranks]}\n")
        sys.stdout.flush()
