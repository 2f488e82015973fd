from __future__ import annotations

import pytest

from aai_gateway.emulator.entities import entity_json, find_entities, redacted
from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.wording import joined


def said(text: str) -> list[Word]:
    return [Word(part, 100 * index, 100 * index + 80, 0.9) for index, part in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to jo@example.org, please.", "email_address", "jo@example.org"),
        ("Call 503-555-0142, now.", "phone_number", "503-555-0142"),
        ("It is 078-05-1120.", "us_social_security_number", "078-05-1120"),
        ("Card 4111 1111 1111 1111 expires.", "credit_card_number", "4111 1111 1111 1111"),
        ("On September 14, we go.", "date", "September 14"),
        ("It took forty five minutes.", "duration", "forty five minutes"),
        ("I paid $20.50 for it.", "money_amount", "$20.50"),
        ("Elena Marsh spoke.", "person_name", "Elena Marsh"),
        ("At the Department of Health we wait.", "organization", "Department of Health"),
        ("She has asthma.", "medical_condition", "asthma"),
    ],
)
def test_found(text: str, kind: str, found: str):
    assert [(kind, found)] == [(entity.kind, entity.text) for entity in find_entities(said(text))]


def test_nothing_to_find():
    assert [] == find_entities(said("It rained and we went home."))
    assert [] == find_entities([])


def test_times_are_those_of_the_words():
    words = said("With Elena Marsh, today.")
    (entity,) = find_entities(words)
    assert {
        "entity_type": "person_name",
        "text": "Elena Marsh",
        "start": 100,
        "end": 280,
        "speaker": None,
    } == entity_json(entity, words)


@pytest.mark.parametrize(
    ("policies", "how", "expected"),
    [
        (None, "hash", "##### #####, of ######."),
        (["person_name"], "entity_name", "[PERSON_NAME] [PERSON_NAME], of Boston."),
        (["phone_number"], "hash", "Elena Marsh, of Boston."),
    ],
)
def test_redacted_word_for_word(policies: list[str] | None, how: str, expected: str):
    words = said("Elena Marsh, of Boston.")
    assert expected == joined(redacted(words, find_entities(words), policies, how))
