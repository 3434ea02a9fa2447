"""Update the pictures of the documentation and the README's count of claims.

`python docs/_site/gallery.py RESULTS FIGURES` copies every figure into docs/gallery/, made small, and
writes the counts of `RESULTS/claims.csv` between the marks in README.md.
"""

import csv
import re
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
MAX_WIDTH = 1500
COLOURS = 96
MARKS = ("<!-- claims: written by make gallery -->", "<!-- end of claims -->")
VERDICTS = {
    "holds": "hold",
    "fails": "fail",
    "too_small": "too small to judge",
    "not_measured": "not measured",
}


def shrink(figure: Path, picture: Path) -> None:
    """Write a copy that is at most ``MAX_WIDTH`` pixels wide and has a palette of its own."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(figure) as image:
        shown = Image.new("RGB", image.size, "white")
        shown.paste(image, mask=image.getchannel("A") if "A" in image.getbands() else None)
    if shown.width > MAX_WIDTH:
        height = round(shown.height * MAX_WIDTH / shown.width)
        shown = shown.resize((MAX_WIDTH, height), Image.Resampling.LANCZOS)
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


def counted(claims: Path) -> str:
    """Return a table with one row per study: statements by verdict, and self-checks."""
    with claims.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = Counter((row["study"], row["kind"], VERDICTS[row["verdict"]]) for row in rows)
    titles = " | ".join(VERDICTS.values())
    lines = [f"| statements about | {titles} | self-checks that hold |"]
    lines += [f"|---{'|---' * len(VERDICTS)}|---|"]
    for study in dict.fromkeys(row["study"] for row in rows):
        cells = [str(counts[study, "statement", verdict]) for verdict in VERDICTS.values()]
        checks = [counts[study, "self_check", verdict] for verdict in VERDICTS.values()]
        cells.append(f"{checks[0]} of {sum(checks)}")
        lines.append(f"| [`{study}`](docs/{study}.md) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def between_marks(text: str, table: str) -> str:
    """Return ``text`` with ``table`` between the two marks."""
    start, end = map(re.escape, MARKS)
    marked = re.compile(f"{start}.*?{end}", re.DOTALL)
    if len(marked.findall(text)) != 1:
        raise SystemExit(f"README.md: needs one pair of {MARKS[0]} and {MARKS[1]}")
    return marked.sub(lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}", text)


def main() -> None:
    """Copy the pictures and write the table."""
    results, figures = map(Path, sys.argv[1:])
    readme = ROOT / "README.md"
    table = counted(results / "claims.csv")
    readme.write_text(between_marks(readme.read_text(encoding="utf-8"), table), encoding="utf-8")
    studies = re.findall(r"`(\w+)`", table)
    for figure in (path for study in studies for path in sorted((figures / study).glob("*.png"))):
        shrink(figure, ROOT / "docs" / "gallery" / figure.relative_to(figures))


if __name__ == "__main__":
    main()
