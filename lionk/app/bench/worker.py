"""A process that counts or times on request, for the lionk that it finds first on its path: ``worker.py count PART``.

It is run as a file, and loads its neighbours under a name of their own: the lionk that is looked at may be that of
another commit, which has none of them.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

ALIAS = "bench_of_lionk"


def neighbour(name: str) -> Any:
    """A module of this folder, whatever lionk is imported."""
    if ALIAS not in sys.modules:
        here = Path(__file__).parent
        spec = spec_from_file_location(ALIAS, here / "__init__.py", submodule_search_locations=[str(here)])
        assert spec is not None and spec.loader is not None
        sys.modules[ALIAS] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[ALIAS])
    return import_module(f"{ALIAS}.{name}")


def counted(part: str) -> Iterator[dict[str, Any]]:
    """The counts of a part; of one that could not be made, why."""
    for c in neighbour("parts").PARTS[part]():
        found = {"subject": c.subject, "case": c.case, "unit": c.unit, "needs": c.needs}
        try:
            yield found | {"value": c.value()}
        except Exception as error:  # of any kind: the commit may lack it, or be broken
            yield found | {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    mode, part = arguments
    if mode == "count":
        out, sys.stdout = sys.stdout, sys.stderr  # what libraries say is no part of the answer
        json.dump(list(counted(part)), out)
        out.flush()
    else:
        neighbour("against").serve(part)


if __name__ == "__main__":
    main(sys.argv[1:])
