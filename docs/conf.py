"""How Sphinx builds the documentation: `make docs`, into results/docs.

Nothing is fetched when the site is built or read: the theme brings no fonts, and formulas are MathML
(:mod:`mathml`), drawn by the browser with a font that is copied into the site.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE / "_site")]

from descentflow import __version__  # noqa: E402

project = "descentflow"
author = "The descentflow developers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "docstrings",
    "figures_page",
    "mathml",
    "repository",
]
exclude_patterns = ["_site", "gallery"]
root_doc = "index"

html_theme = "furo"
html_title = f"descentflow {version}"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
myst_dmath_double_inline = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
