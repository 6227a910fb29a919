"""What an exchange takes, against an all-reduce of float32 gradients: bytes and seconds, on one Linux machine.

    torchrun --standalone --nproc-per-node=2 measure.py --entries 16777216

Bytes are those that the loopback device counts, headers and everybody else's included. Seconds are those of the
processor, which other programs do not lengthen much; the fastest of the repeats.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.distributed as dist

import lionk_torch


def sent() -> int:
    """Bytes that this machine has sent to itself."""
    line = next(row for row in Path("/proc/net/dev").read_text().splitlines() if row.strip().startswith("lo:"))
    return int(line.split()[9])


def measured(run, repeats: int) -> tuple[float, float]:
    """Seconds of this rank's processor in the fastest run, and bytes of one, of all ranks together."""
    run()  # connections are made
    fastest = float("inf")
    dist.barrier()
    before = sent()
    for _ in range(repeats):
        start = time.process_time()
        run()
        fastest = min(fastest, time.process_time() - start)
        dist.barrier()
    return fastest, (sent() - before) / repeats


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1 << 24)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    gradient = torch.randn(options.entries)

    def step(exchange: str | None):
        p = torch.nn.Parameter(torch.zeros(options.entries))
        p.grad = gradient
        return lionk_torch.LionK([p], exchange=exchange).step

    runs = {
        "all-reduce of float32": lambda: dist.all_reduce(gradient.clone()),
        "majority, with the step": step("majority"),
        "average, with the step": step("average"),
        "the step alone": step(None),
    }
    for name, run in runs.items():
        seconds, wire = measured(run, options.repeats)
        if dist.get_rank() == 0:
            each = wire / dist.get_world_size() / options.entries
            nanoseconds = 1e9 * seconds / options.entries
            print(f"{name:24} {each:6.3f} bytes, {nanoseconds:5.1f} ns, for each parameter and rank")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
