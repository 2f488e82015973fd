"""docs/isolation.md has the table of operations that the code decides by, and what is promised is tested.

`AAI_GATEWAY_WRITE_DOCUMENTS=1 scripts/test tests/test_isolation_document.py` writes it anew.
"""

from __future__ import annotations

import os
import re

import pytest
from gateway_process import REPOSITORY

from aai_gateway.core.operations import KNOWN, READING, Known, Operation, Who
from aai_gateway.core.regions import Host

DOCUMENT = REPOSITORY / "docs" / "isolation.md"
BEGIN, END = "<!-- operations -->\n", "<!-- end of operations -->\n"

WHO = {
    Who.ANY_KEY: "any key",
    Who.OWNER: "the owner",
    Who.OWNER_IF_NAMED: "any key, for what it owns",
    Who.OWN_ONLY: "any key, of its own",
}
NAMES = {None: "", "path": "in the path", "body": "in the body"}


def refusal(known: Known) -> str:
    """What everybody else gets."""
    if known.who in (Who.ANY_KEY, Who.OWN_ONLY):
        return ""
    if known.operation is Operation.SUBMIT:
        return "403 `Cannot access uploaded file`"
    if known.host is Host.LLM_GATEWAY:
        return "404 `transcript not found`"
    return "400 `Transcript lookup error, transcript id not found`"


def row(known: Known) -> str:
    what = "upload" if known.operation is Operation.SUBMIT else "transcript"
    named = f"{what} {NAMES[known.names]}" if known.names else ""
    read_only = "yes" if known.operation in READING else "403"
    cells = (f"`{known.method} {known.path}`", named, WHO[known.who], read_only, refusal(known))
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def table() -> str:
    head = "| operation | names a thing | who may | read-only key | everybody else |\n|---|---|---|---|---|\n"
    return head + "".join(f"{row(known)}\n" for known in KNOWN)


def test_the_table_in_the_document_is_what_the_code_decides_by():
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get("AAI_GATEWAY_WRITE_DOCUMENTS") == "1":
        DOCUMENT.write_text(f"{before}{BEGIN}{table()}{END}{after}", "utf-8")
    else:
        assert table() == shown


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_has_a_line(operation: Operation):
    assert [operation] == [known.operation for known in KNOWN if known.operation is operation]


@pytest.mark.parametrize("name", ["isolation.md", "security.md", "residency.md"])
def test_each_test_that_a_document_names_is_there(name: str):
    named = re.findall(
        r"`((?:tests/)?[a-z0-9_/]*test_[a-z_]+\.py|tests/[a-z0-9_/]+/)`", (DOCUMENT.parent / name).read_text()
    )
    assert named
    assert [] == [
        path
        for path in named
        if not (REPOSITORY / path).exists() and not [*REPOSITORY.glob(f"tests/**/{path}")]
    ]
