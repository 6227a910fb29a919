"""Writes the golden vectors of lionk/conformance/ports from their generator: ``python docs/make_vectors.py``.

They belong to a version of the specification: where a file changes, the version must, too.
"""

from __future__ import annotations

from lionk.conformance.ports.golden import SHIPPED, pack


def main() -> None:
    for K in SHIPPED:
        path = pack(K)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
