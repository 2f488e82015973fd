"""The picture of a job's life in the documentation is the table that the code obeys."""

from __future__ import annotations

import re

from gateway_process import REPOSITORY

from aai_gateway.core.job_life import START, TRANSITIONS, sources


def drawn() -> dict[str, dict[str, frozenset[str]]]:
    """The transitions of each part of the diagram in docs/billing.md."""
    text = (REPOSITORY / "docs/billing.md").read_text()
    [diagram] = re.findall(r"```mermaid\n(.*?)```", text, re.S)
    found: dict[str, dict[str, frozenset[str]]] = {}
    for service, body in re.findall(r'state "(\w+)" as \w \{(.*?)\}', diagram, re.S):
        arrows: dict[str, set[str]] = {}
        for source, target in re.findall(r"(\[\*\]|\w+) --> (\w+)", body):
            arrows.setdefault(START if source == "[*]" else source, set()).add(target)
        found[service] = {source: frozenset(targets) for source, targets in arrows.items()}
    return found


def test_the_diagram_is_the_table():
    assert TRANSITIONS == drawn()


def test_every_state_can_be_reached_and_those_that_end_have_no_way_on():
    for service, table in TRANSITIONS.items():
        reached = frozenset().union(*table.values())
        assert {"held", "refused", "unknown", "settled"} <= reached
        assert not {"refused", "settled"} & table.keys(), service


def test_what_may_come_before_is_read_from_the_table():
    assert ("held", "unknown") == sources("speech", "running")
    assert ("held",) == sources("speech", "refused")
    assert ("held", "unknown") == sources("chat", "settled")
