"""lionk on Dask arrays."""

from ._backend import DaskBackend

backend = DaskBackend()
__all__ = ["DaskBackend", "backend"]
