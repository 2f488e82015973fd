"""A table of figures: printed as Markdown, kept as JSON, written into a page of docs/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` have a cell for each of `columns`; the first column names what the row is about."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The title in bold and the table, as GitHub renders it; figures are aligned to the right."""
        lines = [
            f"**{self.title}**",
            "",
            _line(self.columns),
            "|".join(["", "---", *["---:"] * (len(self.columns) - 1), ""]),
            *map(_line, self.rows),
        ]
        return "\n".join(lines) + "\n"


def write_between_marks(page: Path, name: str, tables: Sequence[Table]) -> None:
    """Put the tables between `<!-- eval NAME -->` and `<!-- /eval NAME -->` of a page, in place of what was.

    Raises ValueError when the page has no such marks.
    """
    begin, end = f"<!-- eval {name} -->", f"<!-- /eval {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{page} has no lines {begin} and {end} to write between.")
    text = "\n".join(table.markdown() for table in tables)
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
