from __future__ import annotations

import pytest

from aai_gateway.quotes.tokens import tokenize


def texts(said: str) -> str:
    return " ".join(token.text for token in tokenize(said.split()))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Twenty-five per cent", "25 percent"),
        ("25%", "25 percent"),
        ("$5 million", "5000000 dollar"),
        ("five million dollars", "5000000 dollar"),
        ("€40", "40 euro"),
        ("$ alone", "dollar alone"),
        ("two hundred and five", "205"),
        ("two hundred and you", "200 and you"),
        ("a hundred and ten thousand a car", "110000 a car"),
        ("nineteen eighty-four", "1984"),
        ("twenty nineteen", "2019"),
        ("sixteen hundred", "1600"),
        ("one million two hundred thousand and five", "1200005"),
        ("one two three", "1 2 3"),
        ("two and two", "2 and 2"),
        ("six fifteen", "6 15"),
        ("three point one four", "3.14"),
        ("to the point", "to the point"),
        ("the twenty-first", "the 21st"),
        ("21st", "21st"),
        ("the twelfth", "the 12th"),
        ("1,000.50", "1000.50"),
        ("1.5 million", "1500000"),
        ("1.2.3 million", "1.2.3 million"),
        ("hundreds of them", "hundreds of them"),
    ],
)
def test_numbers_are_read_however_they_are_written(said, expected):
    assert expected == texts(said)


def test_a_number_knows_all_its_words():
    number = tokenize(["I", "saw", "two", "hundred", "and", "five", "ships"])[2]
    assert ("205", 2, 5) == (number.text, number.first, number.last)
