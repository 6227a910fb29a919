"""The threads that share a step: the caller and a pool of helpers, made when first needed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache


def threads() -> int:
    """As many as there are processors, or OMP_NUM_THREADS, as for the libraries under NumPy."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(asked), usable) if asked.isdigit() and int(asked) else usable


@cache
def _pool(helpers: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001  (a forked process has no threads of it)
    return ThreadPoolExecutor(helpers, thread_name_prefix="lionk")


def one_after_the_other(tasks: Iterable[Callable[[], None]]) -> None:
    """Run every task on this thread."""
    for task in tasks:
        task()


def run_all(tasks: Iterable[Callable[[], None]]) -> None:
    """Run every task, on as many threads as there are tasks and processors. Raises what a task raised."""
    queue = deque(tasks)

    def work() -> None:
        while queue:
            try:
                task = queue.popleft()
            except IndexError:  # another thread took the last one
                return
            task()

    helpers = min(threads(), len(queue)) - 1
    if helpers < 1:
        return work()
    # Each helper in a copy of the caller's context, which holds NumPy's error state.
    futures = [_pool(threads() - 1, os.getpid()).submit(copy_context().run, work) for _ in range(helpers)]
    try:
        work()
    finally:
        queue.clear()  # after an error in the caller the helpers stop, too
        for f in futures:
            f.result()
    return None
