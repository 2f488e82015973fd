"""The figures of a dashboard's page, by section and row, exact as the page has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Row:
    """A table's row, or a head figure: its heading, and its exact values in order."""

    heading: str = ""
    values: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def micros(self) -> list[int]:
        """The amounts among them, in micro-dollars."""
        return [round(float(value) * 1_000_000) for value in self.values if "." in value]


class FiguresOnPage(HTMLParser):
    """`sections` has the rows of each section by its heading; `head` the head figures by theirs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, list[Row]] = {}
        self.head: dict[str, Row] = {}
        self._section: list[Row] = []
        self._row = Row()
        self._reading = self._heading = ""
        self.feed(page)

    def row(self, section: str, heading: str) -> Row:
        """The one row of a section whose heading begins so."""
        found = [row for row in self.sections[section] if row.heading.startswith(heading)]
        assert 1 == len(found), [row.heading for row in self.sections[section]]
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        if tag in ("h2", "th", "dt"):
            self._reading = tag
            if tag == "h2":
                self._heading = ""
            elif tag == "dt":
                self._row = Row()
        elif tag == "section" and (name := of.get("aria-label")):
            self._section = self.sections.setdefault(name, [])
        elif tag == "tr":
            self._row = Row()
            self._section.append(self._row)
        elif tag == "data" and self._reading != "h2":
            self._row.values.append(of.get("value") or "")
        elif tag == "time" and self._reading == "":
            self._row.texts.append(of.get("datetime") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "h2":
            self._section = self.sections.setdefault(" ".join(self._heading.split()), [])
        if tag == "dt":
            self.head[" ".join(self._row.heading.split())] = self._row
        if tag in ("h2", "th", "dt"):
            self._row.heading = " ".join(self._row.heading.split())
            self._reading = ""

    def handle_data(self, data: str) -> None:
        if self._reading == "h2":
            self._heading += data
        elif self._reading in ("th", "dt"):
            self._row.heading += data
        elif data.strip():
            self._row.texts.append(data.strip())
