"""Which topic of an offered list a transcript is about: word overlap and a small lexicon."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping

from aai_gateway.emulator.passages import stems

TOPICS_LIST = re.compile(r"<topics_list>(.*?)</topics_list>", re.DOTALL | re.IGNORECASE)

_NAME_WEIGHT, _LEXICON_WEIGHT, _DESCRIPTION_WEIGHT = 3, 2, 1
# A word said a hundred times says no more about the topic than one said this often.
_MOST_COUNTED = 4

# Words by which the emulator knows a topic, by the stem of the topic's name.
_LEXICON = {
    "Sports": "game team player coach season league match athlete injury ball goal win football basketball",
    "Politics": "government president election vote senate congress policy minister parliament campaign",
    "Entertainment": "movie film music show television actor song album celebrity artist concert",
    "Technology": "software computer app data internet device phone code engineer digital robot network",
    "Health": "doctor patient medical hospital disease treatment medicine symptom virus asthma vaccine",
    "Business": "company market customer product meeting sales startup manager team budget project industry",
    "Science": "research scientist study experiment theory physics laboratory discovery space biology",
    "Education": "school student teacher university class learning college curriculum exam pupil",
    "Travel": "trip hotel flight airport destination tourist vacation visit journey",
    "Lifestyle": "fashion hobby home food cooking garden family daily style recipe",
    "Environment": "climate wildfire smoke air quality pollution forest carbon emission weather river water",
    "Finance": "money bank investment loan stock credit interest tax pension savings",
    "World News": "international war country border nation conflict united refugee treaty",
    "Crime": "police arrest court murder theft suspect prison victim judge investigation",
    "Culture": "tradition museum heritage festival language art history religion community",
}


def read_topics(listed: str) -> dict[str, str]:
    """Topic names and descriptions from a Python or JSON dict or list, or from lines `name: description`."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(listed.strip())
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, Mapping):
            return {str(name): str(description) for name, description in value.items()}
        if isinstance(value, list | tuple):
            return {str(name): "" for name in value}
    lines = (re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line).strip() for line in listed.splitlines())
    return {
        name.strip(): description.strip()
        for name, _, description in (line.partition(":") for line in lines if line)
    }


def rank_topics(topics: Mapping[str, str], text: str) -> list[tuple[str, int]]:
    """The topics with their overlap with `text`, best first, equal ones in the order of the list."""
    said = {word: min(count, _MOST_COUNTED) for word, count in Counter(stems(text)).items()}
    vocabulary = {name: _vocabulary(name, description) for name, description in topics.items()}
    shared = Counter(word for words in vocabulary.values() for word in words)
    scores = {
        name: sum(
            weight * said.get(word, 0)
            for word, weight in words.items()
            # A word that several descriptions share ("news", "updates") tells none of them apart.
            if shared[word] == 1 or weight == _NAME_WEIGHT
        )
        for name, words in vocabulary.items()
    }
    return sorted(scores.items(), key=lambda pair: -pair[1])


def _vocabulary(name: str, description: str) -> dict[str, int]:
    words = dict.fromkeys(stems(description), _DESCRIPTION_WEIGHT)
    words |= dict.fromkeys(stems(_LEXICON.get(name.title(), "")), _LEXICON_WEIGHT)
    return words | dict.fromkeys(stems(name), _NAME_WEIGHT)
