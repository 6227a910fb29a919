"""A Dask cluster for the length of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import lionk

from ..console import BadInput

SECONDS = 5.0  # to wait for the scheduler, and for its first worker


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Let Dask compute on the scheduler at this address; with None nothing changes. Raises BadInput."""
    if address is None:
        yield
        return
    try:
        from distributed import Client
        from distributed.comm import resolve_address
    except ImportError:
        raise BadInput("--scheduler needs distributed: pip install 'lionk[dask]'") from None
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what goes wrong is said below, once
    try:
        resolve_address(address)  # a client of a malformed one is left half made, as the process's default
        client = Client(address, timeout=SECONDS)
    except (OSError, ValueError, TypeError) as error:  # nobody there; no address at all
        raise BadInput(
            f"--scheduler {address}: no Dask scheduler answers within {SECONDS:g} s ({type(error).__name__}); "
            "start one with 'dask scheduler', and workers with 'dask worker ADDRESS'"
        ) from None
    finally:
        log.setLevel(level)
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            raise BadInput(f"--scheduler {address} has no workers; start some with 'dask worker {address}'") from None
        theirs = client.run(_version)
        if other := {v for v in theirs.values() if v != lionk.__version__}:
            raise BadInput(
                f"--scheduler {address}: its workers have lionk {', '.join(sorted(other))}, and this is "
                f"{lionk.__version__}; install the same on all"
            )
        yield


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lionk")
    except PackageNotFoundError:
        return "none"
