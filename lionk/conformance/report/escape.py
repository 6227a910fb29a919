"""Text that a port has chosen (names, messages), made fit to be shown and written."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

#: Controls (of terminals, and what XML 1.0 forbids), halves of surrogate pairs, and marks that turn the reading order.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#])")
_LONGEST = 2000


def clean(text: str) -> str:
    """One line without control characters, of bounded length."""
    text = text.replace("\n", " ").replace("\t", " ")
    text = _FORBIDDEN.sub("\ufffd", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, also in the cell of a table."""
    return _MARKDOWN.sub(r"\\\1", clean(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[str] = ()) -> list[str]:
    """A table as lines of Markdown; ``numbers`` are the columns that stand at the right."""
    lines = (head, ["---:" if name in numbers else "---" for name in head], *rows)
    return [f"| {' | '.join(line)} |" for line in lines]
