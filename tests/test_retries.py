from __future__ import annotations

import pytest

from aai_gateway.retries import delay_before_retry


@pytest.mark.parametrize(
    ("status", "retry_after", "attempt", "expected"),
    [
        (429, "7", 1, 7.0),
        (429, "0", 1, 0.0),
        (503, "3", 4, 3.0),
        (429, None, 1, 1.0),
        (429, None, 4, 8.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 2, 2.0),
        (429, "-1", 1, 1.0),
        (429, "nan", 1, 1.0),
        # Waiting does not mend these.
        (503, None, 1, None),
        (429, "3600", 1, None),
        (429, "1", 5, None),
        (500, "1", 1, None),
        (400, None, 1, None),
    ],
)
def test_what_is_asked_again_and_when(status, retry_after, attempt, expected):
    assert expected == delay_before_retry(status, retry_after, attempt)
