"""lionk on Dask arrays."""

from typing import Any

from lionk.arrays import reductions

from ._backend import DaskBackend

backend = DaskBackend()
__all__ = ["DaskBackend", "backend"]


def _order_statistic(r: Any, k: int) -> tuple[Any, Any, Any]:
    from ._order import kth_largest

    cut = kth_largest(r, k)
    return cut, (r > cut).astype(r.dtype).sum(), (r == cut).astype(r.dtype).sum()


def _largest(r: Any, k: int) -> Any:
    from ._order import largest

    return largest(r, k)


reductions.ORDER_STATISTIC["array_api_compat.dask.array"] = _order_statistic
reductions.LARGEST["array_api_compat.dask.array"] = _largest
