"""lionk on Dask arrays."""

from typing import Any

from lionk import _xp

from ._backend import DaskBackend

backend = DaskBackend()
__all__ = ["DaskBackend", "backend"]


def _kth_largest(r: Any, k: int) -> Any:
    from ._order import kth_largest

    return kth_largest(r, k)


_xp.KTH_LARGEST["array_api_compat.dask.array"] = _kth_largest
