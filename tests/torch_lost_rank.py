"""One of two processes, of which the second is lost: ``python torch_lost_rank.py RANK FOLDER HOW WHAT``.

HOW: killed or asleep; WHAT: exchange or pieces. The first says how long it waited, and ends in an error.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

from lionk_torch import LionK

TIMEOUT = 5.0


def main(rank, folder, how, what):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=TIMEOUT)
    )
    x = torch.ones(6)
    if what == "pieces":
        x = distribute_tensor(x, init_device_mesh("cpu", (2,)), [Shard(0)])
    p = torch.nn.Parameter(x)
    p.grad = p.detach().clone()
    opt = LionK([p], K="l2", exchange="average" if what == "exchange" else None)
    opt.step()
    if rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    start = time.monotonic()
    try:
        opt.step()
        opt.step()
    finally:
        sys.stdout.write(f"waited {time.monotonic() - start:.1f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
