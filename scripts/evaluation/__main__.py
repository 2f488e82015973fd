"""`python -m evaluation quotes`: measure how quotes are located and passages found, and print the tables.

`--task` runs one of the two; `--json` keeps the tables as data; `--write` puts them into docs/quotes.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from evaluation.meetings import REPOSITORY, Meeting, load_meetings
from evaluation.tables import Table, write_between_marks

TASKS = ("locating", "searching")
PAGE = REPOSITORY / "docs" / "quotes.md"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    options = _parser().parse_args(arguments)
    meetings, name = load_meetings(options.meetings)
    print(f"{len(meetings)} meetings: {name}", file=sys.stderr, flush=True)
    done = {task: _run(task, meetings) for task in ([options.task] if options.task else TASKS)}
    for tables in done.values():
        for table in tables:
            print(table.markdown())
    if options.json:
        kept = {task: [asdict(table) for table in tables] for task, tables in done.items()}
        options.json.write_text(json.dumps({"meetings": name, **kept}, indent=2) + "\n", encoding="utf-8")
    if options.write:
        for task, tables in done.items():
            write_between_marks(PAGE, task, tables)


def _run(task: str, meetings: Sequence[Meeting]) -> Sequence[Table]:
    """The tables of a task: `run` of the module that has its name, imported when it is needed."""
    made = import_module(f"evaluation.{task}").run(meetings)
    return [made] if isinstance(made, Table) else list(made)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/eval", description=__doc__)
    parser.add_argument("what", choices=["quotes"])
    parser.add_argument("--task", choices=TASKS, help="one of the two; both without it")
    parser.add_argument("--meetings", type=int, metavar="N", help="the first N meetings only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables here as JSON")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/quotes.md")
    return parser


if __name__ == "__main__":
    main()
