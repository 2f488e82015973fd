"""What a transcript's understanding features find: the emulator's own simple, deterministic rules.

Keyword lists and counting over the words that were heard, in AssemblyAI's shapes. Nothing is made up:
chapters, summaries and highlights are quotes. Times are ms, scores 0..1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.wording import bare, joined, sentences, word_list

_STOP = set(
    word_list(
        "a about above after again all also am an and any anyone are as at be because been before below "
        "between both but by can could did do does doing done down during each every everybody everyone few "
        "for from further get go good had has have he hear help her here him his how i if in into "
        "is it its just like look me mine more morning most much my name never no nobody nor not nothing now "
        "of off on once one only or other our out over own please really same she should so some somebody "
        "still such sure take than thank that the their them then there these they thing things this those "
        "through to tonight too two until up usually very was we were what when where which while who whole "
        "whom why will with without would yes yesterday you your"
    )
)
_POSITIVE = set(
    word_list(
        "best better calm friendly free glad good great happy hope improve love pleased praise pretty proud "
        "safe strong success thank thanks together welcome wonderful works forward"
    )
)
_NEGATIVE = set(
    word_list(
        "accident afraid angry asthma attack attacks avoided bad burned danger dangerous dead disaster "
        "disease expensive fail failed fear frightening heart injuries injury kill lost out pain problem "
        "risk sadly slowest smoke sorry sprained terrible too warning weak worse worst wrong"
    )
)
_SAFETY = {
    "accidents": "accident accidents crash collision injured injuries",
    "crime_violence": "attack murder crime robbery violence stabbed",
    "disasters": "wildfire wildfires fires fire flood earthquake hurricane smoke burned",
    "health_issues": "asthma disease heart hospital lungs injury injuries ankle hamstring knee pain medicine",
    "negative_news": "terrible danger frightening emergency",
    "profanity": "damn hell shit fuck crap",
    "tobacco": "cigarette cigarettes smoking tobacco",
    "weapons": "gun guns knife weapon weapons shooting",
}
_TOPICS = {
    "NewsAndPolitics>Disasters": "wildfire wildfires fires fire flood smoke burned",
    "NewsAndPolitics>Weather": "weather wind rain warm air dry storm",
    "Home&Garden>IndoorEnvironmentalQuality": "air filter fan indoors windows smoke",
    "MedicalHealth>DiseasesAndConditions>LungAndRespiratoryHealth": "asthma lungs breathe breathing breaths",
    "MedicalHealth>DiseasesAndConditions>Injuries": "injury injuries sprained ankle knee swells pain",
    "Sports>RunningAndJogging": "running jogging sprint race distance kneecap knees",
    "HealthyLiving>FitnessAndExercise": "training train warming hips sleep",
    "Science>Environment": "particles forests valley scientist",
    "BusinessAndFinance>Industries>PowerAndEnergyIndustry": "power energy outage crew grid",
}
_SAFETY_WORDS = {label: set(word_list(words)) for label, words in _SAFETY.items()}
_TOPIC_WORDS = {label: set(word_list(words)) for label, words in _TOPICS.items()}
_SEGMENT = 6
_CHAPTER_SENTENCES = 12


def sentiment_results(words: Sequence[Word]) -> list[dict[str, Any]]:
    """One result for each sentence: more positive words, more negative ones, or neither."""
    return [_sentiment(sentence) for sentence in sentences(words)]


def _sentiment(sentence: list[Word]) -> dict[str, Any]:
    plain = [bare(word.text) for word in sentence]
    score = sum(word in _POSITIVE for word in plain) - sum(word in _NEGATIVE for word in plain)
    return {
        "text": joined(sentence),
        "start": sentence[0].start,
        "end": sentence[-1].end,
        "sentiment": "POSITIVE" if score > 0 else "NEGATIVE" if score < 0 else "NEUTRAL",
        "confidence": round(min(0.99, 0.6 + 0.12 * abs(score)), 4),
        "speaker": sentence[0].speaker,
        "channel": sentence[0].channel,
    }


def _weights(words: Sequence[Word]) -> Counter[str]:
    return Counter(plain for word in words if len(plain := bare(word.text)) > 2 and plain not in _STOP)


def lead(words: Sequence[Word], count: int) -> list[str]:
    """The `count` sentences that hold most of the frequent words, in spoken order: an extract, not a
    paraphrase.
    """
    weights = _weights(words)
    spoken = sentences(words)

    def value(index: int) -> float:
        plain = {bare(word.text) for word in spoken[index]}
        return sum(weights[word] for word in plain) / (len(spoken[index]) + 5)

    best = sorted(range(len(spoken)), key=lambda index: (-value(index), index))[:count]
    return [joined(spoken[index]) for index in sorted(best)]


def gist(words: Sequence[Word]) -> str:
    """The three most frequent words that mean something, in spoken order."""
    weights = _weights(words)
    return " ".join(
        sorted((word for word, _ in weights.most_common(3)), key=list(weights).index)
    ).capitalize()


def summary(words: Sequence[Word], kind: str) -> str:
    """A summary of AssemblyAI's `summary_type`: bullets, bullets_verbose, gist, headline or paragraph."""
    if kind == "gist":
        return gist(words)
    if kind == "headline":
        return " ".join(lead(words, 1))
    if kind == "paragraph":
        return " ".join(lead(words, 4))
    return "\n".join(f"- {sentence}" for sentence in lead(words, 8 if kind == "bullets_verbose" else 4))


def chapters(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Chapters of about a dozen sentences, each told by the sentences that matter most in it."""
    return [
        {
            "summary": " ".join(lead(part, 3)),
            "headline": " ".join(lead(part, 1)),
            "gist": gist(part),
            "start": part[0].start,
            "end": part[-1].end,
        }
        for part in segments(words, _CHAPTER_SENTENCES)
    ]


def segments(words: Sequence[Word], size: int) -> list[list[Word]]:
    """Runs of `size` sentences."""
    spoken = sentences(words)
    return [
        [word for sentence in spoken[start : start + size] for word in sentence]
        for start in range(0, len(spoken), size)
    ]


def highlights(words: Sequence[Word]) -> dict[str, Any]:
    """`auto_highlights_result`: runs of up to three meaningful words, the most frequent first."""
    places: dict[str, list[tuple[int, int]]] = {}
    for sentence in sentences(words):
        for phrase in _phrases(sentence):
            text = " ".join(bare(word.text) for word in phrase)
            places.setdefault(text, []).append((phrase[0].start, phrase[-1].end))
    ranked = sorted(places.items(), key=lambda item: (-len(item[1]) * len(item[0].split()), item[1][0]))[:15]
    top = max((len(spans) * len(text.split()) for text, spans in ranked), default=1)
    results = [
        {
            "count": len(spans),
            "rank": round(0.1 * len(spans) * len(text.split()) / top, 2),
            "text": text,
            "timestamps": [{"start": start, "end": end} for start, end in spans],
        }
        for text, spans in ranked
    ]
    return {"status": "success", "results": results}


def _phrases(sentence: list[Word]) -> list[list[Word]]:
    runs: list[list[Word]] = [[]]
    for word in sentence:
        if len(bare(word.text)) > 2 and bare(word.text) not in _STOP:
            runs[-1].append(word)
        if bare(word.text) in _STOP or not word.text[-1].isalnum():
            runs.append([])
    return [run[:3] for run in runs if run]


def content_safety(words: Sequence[Word], threshold: int) -> dict[str, Any]:
    """`content_safety_labels`: labels with a confidence of `threshold` percent or more, for each six
    sentences.
    """
    results: list[dict[str, Any]] = []
    for index, part in enumerate(segments(words, _SEGMENT)):
        labels = [
            {"label": label, "confidence": score, "severity": round(score / 2, 4)}
            for label, score in _scores(part, _SAFETY_WORDS).items()
            if score * 100 >= threshold
        ]
        if labels:
            first = index * _SEGMENT
            results.append(
                {
                    "text": joined(part),
                    "labels": labels,
                    "sentences_idx_start": first,
                    "sentences_idx_end": first + len(sentences(part)) - 1,
                    "timestamp": {"start": part[0].start, "end": part[-1].end},
                }
            )
    summed = _strongest(
        (label["label"], label["confidence"]) for result in results for label in result["labels"]
    )
    severity = {
        label: {"low": round(1 - score / 2, 4), "medium": round(score / 2, 4), "high": 0.0}
        for label, score in summed.items()
    }
    return {"status": "success", "results": results, "summary": summed, "severity_score_summary": severity}


def topics(words: Sequence[Word]) -> dict[str, Any]:
    """`iab_categories_result`: IAB topics whose words are spoken, for each six sentences."""
    results: list[dict[str, Any]] = [
        {
            "text": joined(part),
            "labels": [{"relevance": score, "label": label} for label, score in scores.items()],
            "timestamp": {"start": part[0].start, "end": part[-1].end},
        }
        for part in segments(words, _SEGMENT)
        if (scores := _scores(part, _TOPIC_WORDS))
    ]
    summed = _strongest(
        (label["label"], label["relevance"]) for result in results for label in result["labels"]
    )
    return {"status": "success", "results": results, "summary": summed}


def _scores(part: Sequence[Word], lexicon: dict[str, set[str]]) -> dict[str, float]:
    plain = [bare(word.text) for word in part]
    counts = {label: sum(word in lexicon[label] for word in plain) for label in lexicon}
    return {
        label: round(1 - 0.6 / (1 + count), 4)
        for label, count in sorted(counts.items(), key=lambda item: -item[1])
        if count
    }


def _strongest(scores: Any) -> dict[str, float]:
    best: dict[str, float] = {}
    for label, score in scores:
        best[label] = max(score, best.get(label, 0.0))
    return dict(sorted(best.items(), key=lambda item: -item[1]))


UNAVAILABLE_SAFETY: dict[str, Any] = {
    "status": "unavailable",
    "results": [],
    "summary": {},
    "severity_score_summary": {},
}
UNAVAILABLE_TOPICS: dict[str, Any] = {"status": "unavailable", "results": [], "summary": {}}
"""What the service answers for these two when they were not asked for."""
