"""The documentation: ``sphinx-build -W -b html docs docs/_build/html``. Nothing is fetched, now or by a reader.

``LIONK_GALLERY=quick`` builds the gallery from small runs, ``none`` without runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

import lionk  # noqa: E402

project = "lionk"
author = "The lionk maintainers"
project_copyright = author
version = release = lionk.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "api",
    "explore",
    "gallery",
    "history",
    "inside",
    "mathml",
]

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_site", "_static"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
suppress_warnings = [
    "myst.xref_missing",  # links from pages that GitHub shows, too, to files outside docs/
    "ref.python",  # attributes of several classes share a name, and numpydoc links them by it
]

html_theme = "furo"
html_title = f"lionk {release}"
html_favicon = "_static/lionk.svg"
html_static_path = ["_static"]
html_css_files = ["lionk.css"]
html_show_sphinx = False
html_show_search_summary = False  # a page opened from a disk may not fetch its neighbours
gallery_mode = os.environ.get("LIONK_GALLERY", "full")
