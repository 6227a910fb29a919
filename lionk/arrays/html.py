"""Small tables for notebooks, which show an object by its ``_repr_html_``."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A caption and rows of plain text, the first cell of each being its heading."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(head)}</th>"
        + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for head, *cells in rows
    )
    caption = f"<caption style='text-align:left'><b>{escape(title)}</b></caption>"
    return f"<table>{caption}<tbody>{lines}</tbody></table>"
