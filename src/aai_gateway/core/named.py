"""Which names that come from outside may be told apart where every name costs: in the labels of metrics.

Models and add-ons are named by clients and by AssemblyAI, in any number. The first so many that anything was
charged for have a name, the others share `OTHER`. Nothing ever comes back out of `OTHER`, so that what is
summed up there never falls.
"""

from __future__ import annotations

from collections.abc import Iterable

OTHER = "other"


def first_named(seen: Iterable[tuple[str, str]], most: int) -> frozenset[str]:
    """The `most` names that were seen first, of pairs of a period and a name; of a period's, by the alphabet.

    Whoever has no place among them later is never given one: only a name of the same period can take the last
    one's place.
    """
    first: dict[str, str] = {}
    for period, name in seen:
        first[name] = min(period, first.get(name, period))
    return frozenset(sorted(first, key=lambda name: (first[name], name))[:most])
