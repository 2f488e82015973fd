from __future__ import annotations

from aai_gateway.core.breaker import LONGEST_PAUSE, LONGEST_RETRY_AFTER, Breaker

NOW = 1000.0


def troubled(times: int, chance: float = 1.0) -> list[float]:
    """The lengths of so many pauses in a row, each probe failing as soon as it may be sent."""
    breaker, now, pauses = Breaker(), NOW, []
    for _ in range(times):
        breaker = breaker.troubled(now, chance)
        pauses.append(breaker.pause(now))
        now += pauses[-1]
    return pauses


def test_pauses_double_up_to_a_minute():
    assert [1, 2, 4, 8, 16, 32, 60, 60] == troubled(8)
    assert LONGEST_PAUSE == troubled(100)[-1]


def test_chance_shortens_a_pause_by_up_to_half():
    assert [0.5, 1, 2] == troubled(3, chance=0)
    assert [0.75, 1.5, 3] == troubled(3, chance=0.5)


def test_a_service_that_answers_is_asked_at_full_speed():
    assert (0, False) == (Breaker().pause(NOW), Breaker().probing)
    once = Breaker().troubled(NOW, 1)
    assert (1, True) == (once.pause(NOW), once.probing)
    assert (0, True) == (once.pause(NOW + 1), once.probing)
    assert Breaker() == once.answered(NOW + 1)


def test_many_questions_that_fail_at_once_are_one_trouble():
    once = Breaker().troubled(NOW, 1)
    assert once == once.troubled(NOW + 0.2, 1)


def test_an_answer_to_an_older_question_does_not_end_the_pause():
    once = Breaker().troubled(NOW, 1)
    assert once == once.answered(NOW + 0.9)


def test_it_waits_as_long_as_it_is_told():
    assert 30 == Breaker().troubled(NOW, 1, retry_after=30).pause(NOW)
    assert 1 == Breaker().troubled(NOW, 1, retry_after=0).pause(NOW)
    assert LONGEST_RETRY_AFTER == Breaker().troubled(NOW, 1, retry_after=1e9).pause(NOW)
    longer = Breaker().troubled(NOW, 1).troubled(NOW, 1, retry_after=30)
    assert (1, 30) == (longer.failures, longer.pause(NOW))
