from __future__ import annotations

import pytest

from aai_gateway.quotes.alignment import align
from aai_gateway.quotes.contradictions import contradicted
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.windows import Sentence

TALK = [
    "We asked twelve hundred of them in autumn, and Ines wrote to the clinic.",
    "Sixty-one percent want more nights, and only nine percent would sit up for it.",
    "The board does not want to pay for the sleeping cars.",
]


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("Sixty-one percent want more nights, and only nine percent would sit up for it.", 0),
        ("61% want more nights, and only 9% would sit up for it.", 0),
        ("Sixty-one percent want more nights, and only twelve percent would sit up for it.", 1),
        ("Sixty-one percent do not want more nights, and only nine percent would sit up for it.", 0.5),
        ("Sixty-one percent want more trains, and only nine percent would sit up for it.", 0),
        ("We asked twelve ... in autumn, and Ines wrote to the clinic", 0),
        ("We asked thirteen ... in autumn, and Ines wrote to the clinic", 1),
        ("of them in autumn, and Ines wrote to the clinic. Sixty", 0),
        ("The board does want to pay for the sleeping cars.", 1),
        ("The board never want to pay for the sleeping cars.", 1),
        ("We asked twelve hundred of them in autumn, and Petra wrote to the clinic.", 1),
        ("We asked twelve hundred of them in autumn, and she wrote to the clinic.", 0),
    ],
)
def test_numbers_negation_and_names_contradict_and_other_words_do_not(claim, expected):
    spoken = Spoken.of([Sentence(i, line, i * 9000, i * 9000 + 9000) for i, line in enumerate(TALK)])
    prepared = Claim.of(claim)
    assert pytest.approx(expected) == contradicted(prepared, align(prepared, spoken)[0], spoken)
