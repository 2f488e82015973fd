from __future__ import annotations

import pytest

from aai_gateway.core.token_estimates import estimated_tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1),
        ("four words of English", 6),
        ("今天天气很好。", 8),
        ("ポケモンが大好き", 9),
        ("오늘은 날씨가", 7),
        ("วันนี้", 7),
        ("Straße", 2),
    ],
)
def test_letters_that_are_words_count_as_tokens(text, expected):
    assert expected == estimated_tokens(text)
