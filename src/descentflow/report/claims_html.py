"""Write the table of claims as one self-contained HTML page, filtered in the browser."""

import re
from collections.abc import Sequence
from html import escape
from itertools import starmap

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table
from descentflow.studies.claim import FAILS, HOLDS, NOT_MEASURED, TOO_SMALL
from descentflow.studies.claims_table import ORDER, WORDS, Row

CLASSES = {HOLDS: "holds", FAILS: "fails", TOO_SMALL: "small", NOT_MEASURED: "unknown"}
HEADERS = ("verdict", "statement", "value", "must be", "measured", "where", "whose")

_NUMBER = re.compile(r"\d[\d.]*e-\d+")

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; padding: 1rem; color: #1b1b1b;
  background: #fff; }
h1 { font-size: 1.35rem; margin: 0 0 .6rem; }
h2 { font-size: 1.1rem; margin: 1.2rem 0 .3rem; }
h1.fails { color: #c4161c; } h1.holds { color: #1b7837; } h1.unknown { color: #555; }
h1.small { color: #8a6100; }
form { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-bottom: .8rem; }
input[type=search] { flex: 1 1 14rem; min-width: 0; }
input[type=search], select { font: inherit; padding: .3rem .5rem; border: 1px solid #999;
  border-radius: .3rem; background: #fff; max-width: 100%; }
label { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; border-bottom: 2px solid #333; padding: .3rem .6rem .3rem 0; }
td { vertical-align: top; border-bottom: 1px solid #ddd; padding: .4rem .6rem .4rem 0;
  overflow-wrap: anywhere; }
tr.fails td { background: #fde0dd; font-weight: 600; } tr.unknown td { background: #eee; }
tr.small td { background: #fdf1d6; }
.badge { display: inline-block; min-width: 6.4em; text-align: center; color: #fff; font-weight: 700;
  border-radius: .3rem; padding: .05rem .3rem; white-space: nowrap; }
.badge.holds { background: #1b7837; } .badge.fails { background: #c4161c; }
.badge.unknown { background: #6a6a6a; }
.badge.small { background: #8a6100; white-space: normal; }
code, td > .small:not(.badge) { font-size: .85em; color: #444; }
td > .small:not(.badge) { display: block; }
td.where, td.whose { font-size: .9em; min-width: 8em; } td.measured { min-width: 11em; }
td.bound { min-width: 7em; }
td.statement { min-width: 15em; }
td > span:not([class]) { white-space: nowrap; }
[hidden] { display: none !important; }
a { color: #0b57d0; }
a[id] { scroll-margin-top: 6em; }
a:target { outline: 2px solid #0b57d0; }
@media (max-width: 900px) {
  body { padding: .6rem; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 2px solid #bbb; padding: .5rem 0; }
  td { border: 0; padding: .1rem .4rem; min-width: 0 !important; }
  td[data-name]::before { content: attr(data-name) ": "; font-weight: 600; color: #555; }
}
@media (prefers-color-scheme: dark) {
  body { color: #e3e3e3; background: #16181c; }
  h1.fails { color: #ff8a80; } h1.holds { color: #81c995; } h1.unknown { color: #bbb; }
  h1.small { color: #fdd663; }
  input[type=search], select { background: #22252b; color: inherit; border-color: #666; }
  th { border-color: #aaa; } td { border-color: #3a3d44; } tr { border-color: #555; }
  tr.fails td { background: #4a1d1f; } tr.unknown td { background: #2a2c31; }
  tr.small td { background: #3d3319; }
  code, td > .small:not(.badge), td[data-name]::before { color: #b5b5b5; }
  a { color: #8ab4f8; }
}
"""

SCRIPT = """
const form = document.querySelector("form"), shown = document.querySelector("output");
const rows = Array.from(document.querySelectorAll("tbody tr"));
function filter() {
  const words = form.text.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const verdicts = Array.from(form.querySelectorAll("input[type=checkbox]:checked"), x => x.value);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = words.every(word => text.includes(word)) && verdicts.includes(row.className)
      && (!form.study.value || form.study.value === row.dataset.study);
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${rows.length} shown`;
}
form.addEventListener("input", filter);
form.addEventListener("submit", event => event.preventDefault());
filter();
"""


def page(rows: Sequence[Row]) -> str:
    """Return the page, failing claims first; without scripts it shows everything."""
    tables = "".join(starmap(_table, claims_table.by_kind(rows).items()))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Claims</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1 class="{CLASSES[claims_table.tally(rows).verdict]}">'
        f"{escape(claims_table.counted(rows))}</h1>\n{_form(rows)}{tables}"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _table(noun: str, rows: Sequence[Row]) -> str:
    headers = "".join(f"<th>{header}</th>" for header in HEADERS)
    return (
        f"<h2>{noun.capitalize()}</h2>\n<table>\n<thead><tr>{headers}</tr></thead>\n<tbody>\n"
        f"{''.join(map(_row, rows))}</tbody>\n</table>\n"
    )


def _form(rows: Sequence[Row]) -> str:
    studies = "".join(
        f'<option value="{escape(study)}">{escape(study)} ({len(claims)})</option>'
        for study, claims in claims_table.by_study(rows).items()
    )
    boxes = "".join(
        f'<label><input type="checkbox" value="{CLASSES[verdict]}" checked> {WORDS[verdict]}</label>\n'
        for verdict in ORDER
    )
    return (
        '<form>\n<input type="search" name="text" placeholder="words to look for" '
        'aria-label="words to look for">\n'
        f'<select name="study" aria-label="study"><option value="">all studies</option>{studies}'
        f"</select>\n{boxes}<output></output>\n</form>\n"
    )


def _row(row: Row) -> str:
    kind, key = CLASSES[row["verdict"]], escape(f"{row['study']}.{row['id']}")
    cells = {name: _cell(row[name]) for name in ("statement", "where", "text", "bound")}
    title = escape(STUDIES[row["study"]].title)
    return (
        f'<tr class="{kind}" data-study="{escape(row["study"])}">'
        f'<td><span class="badge {kind}">{WORDS[row["verdict"]]}</span></td>'
        f'<td class="statement">{cells["statement"]}'
        f'<span class="small"><a id="{key}" href="#{key}"><code>{escape(row["id"])}</code></a>'
        "</span></td>"
        f'<td class="value" data-name="value">{_cell(claims_table.number(row))}</td>'
        f'<td class="bound" data-name="must be">{cells["bound"]}</td>'
        f'<td class="measured" data-name="measured">{cells["text"]}</td>'
        f'<td class="where" data-name="where"><span title="{title}">{escape(row["study"])}</span>, '
        f"{cells['where']}</td>"
        f'<td class="whose" data-name="whose">{escape(row["source"])}'
        f'<span class="small">{_papers(row["paper"])}</span></td></tr>\n'
    )


def _papers(text: str) -> str:
    """Escape, and make the numbers of papers links to them."""
    link = r'<a href="https://arxiv.org/abs/\1">\g<0></a>'
    return re.sub(r"arXiv:([\d.]+\d)", link, escape(text))


def _cell(text: str) -> str:
    """Typeset and escape; numbers are not broken at their exponent's sign."""
    return _NUMBER.sub(r"<span>\g<0></span>", escape(claims_table.typeset(text)))
