"""Two small transcripts, and how lines become sentences."""

from __future__ import annotations

from collections.abc import Sequence

from aai_gateway.quotes.windows import Sentence

GARDEN = """
Tomatoes want six hours of sun.
Water them at the root, never on the leaves.
Pinch out the side shoots every week.
A mulch of straw keeps the soil moist.
Feed them once the first fruit has set.
Slugs come out after rain.
Go out at dusk with a torch and pick them off.
Copper tape around the pots helps a little.
Ducks help a great deal more.
Harvest when the fruit comes away with a twist.
Green ones ripen on the windowsill.
Save the seeds of the best plant for next year.
""".strip().splitlines()

BANK = """
Our quarterly revenue grew by eleven percent.
Operating costs were flat.
Interest income fell because rates were cut twice.
We wrote off two loans in the shipping sector.
The board proposes a dividend of forty cents.
We expect margins to hold next year.
""".strip().splitlines()


def made_of(lines: Sequence[str], speakers: Sequence[str] = "") -> list[Sentence]:
    """Sentences of 4 s with pauses of 1 s; speakers in turn when given."""
    return [
        Sentence(i, line, i * 5000, i * 5000 + 4000, speakers[i % len(speakers)] if speakers else None)
        for i, line in enumerate(lines)
    ]
