"""Write the table of claims as a page of the documentation."""

from collections.abc import Sequence
from itertools import starmap

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table
from descentflow.studies.claim import FAILS, HOLDS, NOT_MEASURED, TOO_SMALL
from descentflow.studies.claims_table import Row

MARKS = {
    HOLDS: "✅ holds",
    FAILS: "❌ **FAILS**",
    TOO_SMALL: "🟡 **too small to judge**",
    NOT_MEASURED: "⚪ **not measured**",
}
HEADERS = ("verdict", "statement", "value", "must be", "measured", "where", "whose")
SPECIAL = "&<>|*_`[]^~$\\"
"""Characters that some flavour of Markdown would not leave as they are."""

INTRODUCTION = """\
What is tested of the papers' statements, and of those that this project derives, computes or
predicts: where, what was measured and what it had to be. *Paper*: stated in the paper. *As we state
it*: the paper's, its constant recalled. *Derived*: proved in [mathematics.md](mathematics.md), where
the numbers in brackets lead. *Computed*: a calculation there that is no complete proof. *Predicted*:
ours, and tested only. *Self-checks* are about the code: only a bug can break them. The page is
written by `make gallery` from `results/claims.csv` of the studies as
shipped; `make report` shows the same table with filters.

![The claims with their verdicts](gallery/claims.svg)
"""


def page(rows: Sequence[Row], digest: str) -> str:
    """Return the page; ``digest`` is that of the table it was written from."""
    return (
        f"<!-- written from a table of digest {digest} -->\n\n# Claims\n\n"
        f"**{claims_table.counted(rows)}.**\n\n{INTRODUCTION}\n"
        + "\n".join(starmap(_study, claims_table.by_study(rows).items()))
    )


def _study(study: str, rows: Sequence[Row]) -> str:
    tables = "\n".join(starmap(_table, claims_table.by_kind(rows).items()))
    return (
        f"## [{STUDIES[study].title}]({study}.md)\n\n"
        f"{STUDIES[study].paper}: {claims_table.counted(rows)}.\n\n{tables}"
    )


def _table(noun: str, rows: Sequence[Row]) -> str:
    lines = "\n".join(map(_row, rows))
    return (
        f"### {noun.capitalize()}\n\n| {' | '.join(HEADERS)} |\n|{'---|' * len(HEADERS)}\n{lines}\n"
    )


def _row(row: Row) -> str:
    rest = (row[name] for name in ("bound", "text", "where", "source"))
    texts = (row["statement"], claims_table.number(row), *rest)
    cells = [_plain(claims_table.typeset(text)) for text in texts]
    cells[0] += f" (`{row['id']}`)"
    return f"| {' | '.join([MARKS[row['verdict']], *cells])} |"


def _plain(text: str) -> str:
    return "".join(f"&#{ord(sign)};" if sign in SPECIAL else sign for sign in text)
