"""Formulas as MathML, made when the site is built: no script, no pictures, no network.

The font (STIX Two Math, SIL Open Font License) comes with the package ziamath.
"""

import html
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

FONT = "fonts/STIXTwoMath-Regular.ttf"
_TAG = re.compile(r"\\tag\{([^}]*)\}")
_TIGHT = re.compile(r'<mo(?: stretchy="false")?>(&#x0007C;|&#x02016;|&#x0002F;)</mo>')
_NAME = re.compile(
    r"(?P<factor></mn>|</mi>|</msup>|</msub>)?"
    r"<m[io]>(?P<name>log|min|max|inf|lim|ker|sin|sinh|cosh|tanh|arctan|arcsin|arccos)</m[io]>"
    r'(?P<bracket>(?=<mo stretchy="false">&#x00028;))?'
)

_UNARY = re.compile(
    r"(<mo[^>]*>(?:=|\(|&#x(?:0003D|0003C|0003E|02264|02265|02192|0002C|00028);)</mo>)"
    r"<mo>&#x02212;</mo>"
)
_SIGNS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",  # \sim
    "<mi>:</mi>": "<mo>:</mo>",
    "<mo>&#x0221E;</mo>": "<mi>&#x0221E;</mi>",  # \infty
    "<mi>&#x02032;</mi>": '<mpadded voffset="-0.3em"><mi mathsize="140%">&#x02032;</mi></mpadded>',
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer and the font."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("builder-inited", _choose)
    app.connect("build-finished", _copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _choose(app: Sphinx) -> None:
    app.config.html_math_renderer = "mathml"


def mathml(formula: str, display: str) -> str:
    """A formula of TeX as MathML, spaced as TeX does where the converter leaves it to chance."""
    drawn = convert(formula, display=display)
    drawn = _TIGHT.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', drawn)
    for found, wanted in _SIGNS.items():
        drawn = drawn.replace(found, wanted)
    drawn = _UNARY.sub(r'\1<mo form="prefix" lspace="0" rspace="0">&#x02212;</mo>', drawn)
    return _NAME.sub(_name, drawn)


def _name(found: re.Match[str]) -> str:
    """A function's name: a thin space after a factor and before an argument without brackets."""
    before = "0.167em" if found["factor"] else "0"
    after = "0" if found["bracket"] is not None else "0.167em"
    spaces = f'lspace="{before}" rspace="{after}"'
    return f'{found["factor"] or ""}<mo form="prefix" {spaces}>{found["name"]}</mo>'


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    formula = node.astext()
    number = _TAG.search(formula)
    drawn = mathml(_TAG.sub("", formula), "block")
    label = f'<span class="number">({html.escape(number[1])})</span>' if number else ""
    writer.body.append(f'<div class="formula">{drawn}{label}</div>')
    raise nodes.SkipNode


def _copy_font(app: Sphinx, failed: Exception | None) -> None:
    package = find_spec("ziamath")
    if failed is None and package is not None and package.origin is not None:
        shutil.copyfile(Path(package.origin).parent / FONT, app.outdir / "_static" / "math.ttf")
