"""A known mistake makes the same run whichever port it is compared with: it is made once for all tests of a process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from lionk.conformance.judging import diagnosis
from lionk.conformance.mutants.step import Variant
from lionk.conformance.specification.cases import Case


@pytest.fixture(scope="session", autouse=True)
def _runs_of_known_mistakes() -> Iterator[None]:
    walk, made = diagnosis.walk, defaultdict(list)

    def kept(mutant: Variant, case: Case) -> Iterator[Any]:
        """``walk(mutant, case)``, which goes on where the longest of these walks has ended."""
        rows = made[mutant.name, case]
        if not any(mutant == m for m, *_ in rows):
            rows.append((mutant, [], walk(mutant, case)))
        xs, rest = next((xs, rest) for m, xs, rest in rows if mutant == m)
        yield from xs
        for x in rest:
            xs.append(x)
            yield x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "walk", kept)
        yield
