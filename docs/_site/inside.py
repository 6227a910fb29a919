"""The built pages hold together: links and anchors lead somewhere, pictures are there, light, and said in words."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

HEAVY = 300_000  # bytes of a picture


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors, self.links, self.mute = {""}, set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        self.anchors |= {a[k] or "" for k in ("id", "name") if k in a}
        self.links |= {a[k] or "" for k in ("href", "src") if k in a}
        if tag == "img" and not a.get("alt"):
            self.mute.append(a.get("src") or "")


def faults(folder: Path) -> list[str]:
    """One line for each fault of a built site. ``#/...`` is no anchor but a view, which a script shows."""
    pages = {p.resolve(): _Page(p.read_text(encoding="utf-8")) for p in sorted(folder.rglob("*.html"))}
    found = [f"{p.name} is heavy: {p.stat().st_size} bytes" for p in sorted(folder.rglob("*.png"))
             if p.stat().st_size > HEAVY]  # fmt: skip
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        found += [f"{name}: {picture} has no alt text" for picture in page.mute]
        for link in sorted(page.links):
            if not urlsplit(link).scheme and not link.startswith("//"):
                target, anchor = urldefrag(link)
                file = (path.parent / unquote(urlsplit(target).path)).resolve() if target else path
                if not file.exists():
                    found.append(f"{name}: {link} does not exist")
                elif file in pages and not anchor.startswith("/") and unquote(anchor) not in pages[file].anchors:
                    found.append(f"{name}: {link}: no such anchor")
    return found


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        from offline import loaded_from_elsewhere  # of this folder, which conf.py puts on the path

        checks = {"load from elsewhere": loaded_from_elsewhere, "have faults": faults}
        for what, find in checks.items():
            if found := find(Path(app.outdir)):
                raise ExtensionError(f"the pages {what}:\n" + "\n".join(found))


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _check)
