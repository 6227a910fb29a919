"""Claims on ``exchange``, Distributed Lion: they hold at every rank of ``torch_ranks.py``."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode

import lionk
from lionk_torch import LionK
from lionk_torch.distributed.sharded import whole

SHAPES = [(5, 3), (7,), (), (0,)]
LR, LAM, B1, B2 = 0.125, 0.5, 0.9, 0.99


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(worker, step, i, shape):
    g = random(*shape, seed=1000 * worker + 10 * step + i)
    return torch.where(g.abs() < 0.3, 0.0, g)  # some readouts are 0


def written_out(x, gradients, K, how):
    """Distributed Lion (Liu et al. 2024, algorithm 1), every worker in this process: ``gradients[step][worker]``."""
    K, m = lionk.K(K), [torch.zeros_like(x) for _ in gradients[0]]
    for step in gradients:
        readouts = [B1 * a - (1 - B1) * g for a, g in zip(m, step, strict=True)]
        if how == "majority":
            u = K.subgradient(sum(r.sign() for r in readouts).sign())
        else:
            u = sum(K.subgradient(r) for r in readouts) / len(readouts)
        x = x + LR * (u - LAM * x)
        m = [B2 * a - (1 - B2) * g for a, g in zip(m, step, strict=True)]
    return x, m


def everywhere_equal(a):
    every = [torch.empty_like(a) for _ in range(dist.get_world_size())]
    dist.all_gather(every, a.contiguous())
    return all(torch.equal(b, a) for b in every)


def votes_and_means():
    """Against the algorithm written out, for several tensors and dtypes at once; x has the same bits everywhere."""
    rank, world = dist.get_rank(), dist.get_world_size()
    cases = [("l1", "majority"), ("l1", "average"), ("nuclear", "average"), ("softplus", "average")]
    cases += [({"name": "box", "lower": -1.0, "upper": 3.0}, how) for how in ("majority", "average")]
    cases += [(lionk.K("weighted_l1", weights=torch.tensor(2.0)), "majority")]
    for K, how in cases:
        shapes = [(5, 3)] if K == "nuclear" else SHAPES
        params = [torch.nn.Parameter(random(*s, seed=i)) for i, s in enumerate(shapes)]
        params += [torch.nn.Parameter(p.detach().float()) for p in params]
        starts = [p.detach().clone() for p in params]
        opt = LionK(params, LR, (B1, B2), LAM, K=K, exchange=how)
        made = [
            [[gradient(w, step, i, p.shape).to(p.dtype) for i, p in enumerate(params)] for w in range(world)]
            for step in range(4)
        ]
        for step in made:
            for p, g in zip(params, step[rank], strict=True):
                p.grad = g
            opt.step()
        for i, (p, start) in enumerate(zip(params, starts, strict=True)):
            x, m = written_out(start, [[worker[i] for worker in step] for step in made], K, how)
            torch.testing.assert_close(p.detach(), x)
            torch.testing.assert_close(opt.state[p]["m"], m[rank])
            assert everywhere_equal(p.detach())


def workers_that_agree_make_the_step_of_lionk():
    for K, how in ("l1", "majority"), ("l1", "average"), ("nuclear", "average"):
        p, q = (torch.nn.Parameter(random(5, 3, seed=0)) for _ in range(2))
        opt, alone = LionK([p], LR, weight_decay=LAM, K=K, exchange=how), LionK([q], LR, weight_decay=LAM, K=K)
        for step in range(3):
            p.grad, q.grad = gradient(0, step, 0, (5, 3)), gradient(0, step, 0, (5, 3))
            opt.step()
            alone.step()
        assert torch.equal(p.detach(), q.detach()), (K, how)
        assert opt.bounds() == alone.bounds()


def zeros_ties_and_nan():
    """0 and NaN do not vote, a tie is 0, and what nobody has a gradient for stays where it is."""
    rank, world = dist.get_rank(), dist.get_world_size()
    p = torch.nn.Parameter(torch.zeros(5))
    opt = LionK([p], 1.0, exchange="majority")
    p.grad = torch.tensor([0.0, (-1.0) ** rank, -1.0 if rank == 0 else 0.0, math.nan if rank else -1.0, 1.0])
    opt.step()
    assert world % 2 == 0
    assert torch.equal(p.detach(), torch.tensor([0.0, 0.0, 1.0, 1.0, -1.0])), p
    q = torch.nn.Parameter(torch.zeros(3))
    q.grad = torch.ones(3) if rank == 0 else None  # one of the workers has none
    LionK([q], 1.0, exchange="majority").step()
    assert torch.equal(q.detach(), -torch.ones(3))


def bytes_sent():
    """A twentieth of what an all-reduce of float32 sends, both by rings or pairs; averages of signs: 0.15."""
    world = dist.get_world_size()
    size = 5 * world * 1000
    sent = []

    def counted(name, others):
        plain = getattr(dist, name)

        def call(output, given, *args, **options):
            sent.append(others(given))
            return plain(output, given, *args, **options)

        return name, plain, call

    def size_of(a):
        return a.numel() * a.element_size()

    wrapped = [
        counted("all_to_all_single", lambda a: size_of(a) * (world - 1) // world),
        counted("all_gather", lambda a: size_of(a) * (world - 1)),
    ]
    float32 = 2 * (world - 1) / world * 4 * size
    for how, share in ("majority", 1 / 20), ("average", (1.6 + 8) / 64):
        p = torch.nn.Parameter(torch.zeros(size))
        p.grad = torch.randn(size)
        opt = LionK([p], exchange=how)
        sent.clear()
        try:
            for name, _, call in wrapped:
                setattr(dist, name, call)
            opt.step()
        finally:
            for name, plain, _ in wrapped:
                setattr(dist, name, plain)
        assert sum(sent) == round(share * float32), (how, sent, float32)
        with CommDebugMode() as all_sent:
            opt.step()
        assert all_sent.get_total_counts() == len(sent) > 0, (how, all_sent.get_comm_counts())


def many_tensors_are_one_message():
    calls, plain = [], dist.all_to_all_single
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(50)]
    for p in params:
        p.grad = torch.ones(3)
    dist.all_to_all_single = lambda *args, **options: calls.append(1) or plain(*args, **options)
    try:
        LionK(params, exchange="majority").step()
    finally:
        dist.all_to_all_single = plain
    assert len(calls) == 1


def workers_that_started_apart_are_refused():
    p = torch.nn.Parameter(torch.full((3,), float(dist.get_rank())))
    p.grad = torch.ones(3)
    try:
        LionK([p], exchange="average").step()
    except RuntimeError as error:
        assert "parameter 0 of a group differs" in str(error)  # noqa: PT017  (a claim is run without pytest)
    else:
        raise AssertionError


def each_its_own_momentum(folder):
    """Every worker saves its state under its own name, and finds it again."""
    rank = dist.get_rank()
    p, q = (torch.nn.Parameter(torch.zeros(4)) for _ in range(2))
    p.grad = torch.full((4,), float(rank + 1))
    opt, other = (LionK([a], LR, exchange="majority") for a in (p, q))
    opt.step()
    where = folder / f"votes{dist.get_world_size()}"
    checkpoint.save({f"worker {rank}": opt.state_dict()}, checkpoint_id=where)
    q.grad = torch.ones(4)
    other.step()  # which makes the tensors that the checkpoint is read into
    state = {f"worker {rank}": other.state_dict()}
    checkpoint.load(state, checkpoint_id=where)
    other.load_state_dict(state[f"worker {rank}"])
    torch.testing.assert_close(other.state[q]["m"], torch.full((4,), -0.01 * (rank + 1)))


def votes_of_pieces():
    """Two workers of two ranks each: parameters in pieces inside of a worker, votes between workers."""
    grid = init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=("workers", "pieces"))
    worker = grid.get_local_rank("workers")
    for K, how in ("l1", "majority"), ("l1", "average"), ("nuclear", "average"):
        start = random(6, 4, seed=0)
        p = torch.nn.Parameter(distribute_tensor(start, grid["pieces"], [Shard(0)]))
        options = {"exchange": how, "process_group": grid["workers"].get_group()}
        opt = LionK([p], LR, (B1, B2), LAM, K=K, **options)
        made = [[gradient(w, step, 0, p.shape) for w in range(2)] for step in range(3)]
        for step in made:
            p.grad = distribute_tensor(step[worker], grid["pieces"], [Shard(0)])
            opt.step()
        x, _ = written_out(start, made, K, how)
        torch.testing.assert_close(whole(p.detach()), x)


CLAIMS = {
    c.__name__: c
    for c in (
        votes_and_means,
        workers_that_agree_make_the_step_of_lionk,
        zeros_ties_and_nan,
        bytes_sent,
        many_tensors_are_one_message,
        workers_that_started_apart_are_refused,
    )
}
