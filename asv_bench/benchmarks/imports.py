"""Seconds to import, each in a fresh interpreter."""


def timeraw_import_lionk() -> str:
    return "import lionk"


def timeraw_import_backend_packages() -> str:
    """They must cost nothing while their libraries stay unloaded."""
    return "import lionk_cupy, lionk_dask, lionk_jax, lionk_numpy, lionk_torch"


def timeraw_import_array_api_compat() -> str:
    """What ``import lionk`` is compared with: its one dependency."""
    return "import array_api_compat"
