"""The built pages load nothing from elsewhere: no script, style, font or picture. Links that a reader follows may."""

from __future__ import annotations

import re
from pathlib import Path

_LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^>]*>
                     |<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["'](?:https?:)?//[^>]*>""",
                     re.VERBOSE)  # fmt: skip
_STYLE = re.compile(r"""@import|url\(["']?(?:https?:)?//""")


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """What the pages and styles of a built site would fetch, one line each."""
    found = []
    for pattern, suffix in ((_LOADED, "html"), (_STYLE, "css")):
        for page in sorted(folder.rglob(f"*.{suffix}")):
            text = page.read_text(encoding="utf-8")
            found += [f"{page.relative_to(folder)}: {m.group(0)[:120]}" for m in pattern.finditer(text)]
    return found
