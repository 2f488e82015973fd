from __future__ import annotations

import asyncio

import httpx
import pytest

from aai_gateway.emulator import Emulator, Fault, FaultError, Faults


def test_a_fault_is_used_up_by_matching_requests():
    faults = Faults()
    faults.add(Fault(host="us", method="GET", path="/v2/transcript/*", status=500, count=2))
    assert faults.take("eu", "GET", "/v2/transcript/x") is None
    assert faults.take("us", "POST", "/v2/transcript/x") is None
    assert faults.take("us", "GET", "/v2/upload") is None
    taken = [faults.take("us", "GET", "/v2/transcript/x") for _ in range(3)]
    assert [500, 500, None] == [fault and fault.status for fault in taken]
    assert not faults


def test_probability_is_repeatable():
    def run() -> list[bool]:
        faults = Faults()
        faults.add(Fault(status=503, count=None, probability=0.3))
        return [faults.take("us", "GET", "/") is not None for _ in range(200)]

    assert run() == run()
    assert 30 < sum(run()) < 90


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"status": 200},
        {"status": True},
        {"status": 500, "count": 0},
        {"status": 500, "probability": 0},
        {"status": 500, "colour": "red"},
        {"cut": "yes"},
        {"after": True},
        {"cut": True, "after": 1},
        {"delay_seconds": -1},
    ],
)
def test_impossible_faults_are_refused(value: object):
    with pytest.raises(FaultError):
        Fault.from_json(value)


def test_a_redirect_names_its_place(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(status=307, location="https://example.org/"))
    response = us.get("/v2/transcript")
    assert (307, "https://example.org/") == (response.status_code, response.headers["location"])


def test_speech_errors_have_assemblyais_shape(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(status=429, retry_after=7))
    response = us.get("/v2/transcript")
    assert (429, "7") == (response.status_code, response.headers["retry-after"])
    assert {"error": "Too Many Requests"} == response.json()
    emulator.faults.add(Fault(status=400, error="Your current account balance is negative."))
    assert {"error": "Your current account balance is negative."} == us.get("/v2/transcript").json()
    assert 200 == us.get("/v2/transcript").status_code


def test_gateway_errors_have_its_own_shape(emulator: Emulator):
    emulator.faults.add(Fault(host="llm-eu", status=429, retry_after=3))
    assert 200 == httpx.get(f"{emulator.urls.llm_us}/v1/models").status_code
    response = httpx.get(f"{emulator.urls.llm_eu}/v1/models")
    assert (429, "3") == (response.status_code, response.headers["retry-after"])
    assert (429, "too many requests for this action") == (response.json()["code"], response.json()["message"])


def test_cut_connection(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(cut=True))
    with pytest.raises(httpx.TransportError):
        us.get("/v2/transcript")
    assert 0 == emulator.requests[-1].status
    assert 200 == us.get("/v2/transcript").status_code


def test_slow_answers(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(delay_seconds=5))
    with pytest.raises(httpx.ReadTimeout):
        us.get("/v2/transcript", timeout=0.2)


def test_over_http(emulator: Emulator, us: httpx.Client):
    control = f"{emulator.urls.eu}/_emulator/faults"
    added = httpx.post(
        control, json=[{"host": "us", "status": 500}, {"host": "us", "status": 503, "count": None}]
    )
    assert [500, 503] == [fault["status"] for fault in added.json()]
    assert [500, 503, 503] == [us.get("/v2/transcript").status_code for _ in range(3)]
    assert 200 == httpx.delete(control).status_code
    assert 200 == us.get("/v2/transcript").status_code
    assert 400 == httpx.post(control, json={"status": 7}).status_code
    assert 400 == httpx.post(control, content=b"x").status_code


def submitted(us: httpx.Client) -> httpx.Response:
    return us.post("/v2/transcript", json={"audio_url": "https://example.org/audio.wav"})


def test_a_job_whose_answer_is_lost_is_made_and_charged(emulator: Emulator, us: httpx.Client):
    fault = {"method": "POST", "path": "/v2/transcript", "after": True}
    emulator.faults.add(Fault.from_json(fault | {"cut": True}))
    with pytest.raises(httpx.TransportError):
        submitted(us)
    emulator.faults.add(Fault.from_json(fault | {"status": 500}))
    assert (500, ["error"]) == ((answer := submitted(us)).status_code, list(answer.json()))
    listed = [item["id"] for item in us.get("/v2/transcript").json()["transcripts"]]
    assert 2 == len(listed)
    assert sorted(listed) == sorted(row.id for row in emulator.invoice.rows)
    assert [0, 500, 200] == [request.status for request in emulator.requests]


def test_a_late_answer_is_the_right_one(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(delay_seconds=0.05, after=True))
    assert [submitted(us).json()["id"]] == [job.id for job in emulator.jobs()]


def test_an_upload_whose_answer_is_lost_was_read_whole(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(path="/v2/upload", cut=True, after=True))
    with pytest.raises(httpx.TransportError):
        us.post("/v2/upload", content=b"x" * 300_000)
    assert (0, 300_000) == (emulator.requests[-1].status, emulator.requests[-1].bytes_in)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("trouble", [{"cut": True}, {"status": 502}])
def test_a_completion_whose_answer_is_lost_is_charged_whole(emulator: Emulator, stream: bool, trouble: dict):
    headers = {"Authorization": emulator.config.account_key}
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello there"}], "stream": stream}

    def ask() -> httpx.Response:
        return httpx.post(f"{emulator.urls.llm_us}/v1/chat/completions", json=body, headers=headers)

    assert 200 == ask().status_code
    emulator.faults.add(Fault.from_json({"host": "llm-us", "after": True} | trouble))
    if "cut" in trouble:
        with pytest.raises(httpx.TransportError):
            ask()
    else:
        assert 502 == ask().status_code
    heard, lost = (row.items for row in emulator.invoice.rows)
    assert heard == lost
    assert {"input", "output"} == {item.name for item in lost}


async def test_minutes_of_trouble_of_every_kind_leave_the_books_whole(emulator: Emulator):
    """As long as it lasts, each request fails, is slow, is cut or loses its answer; the jobs made are listed
    and charged once each.
    """
    every = {"host": "us", "count": None, "probability": 0.2}
    kinds = [{"status": 429, "retry_after": 1}, {"status": 500}, {"cut": True}, {"delay_seconds": 0.01}]
    lost = [{"cut": True, "after": True}, {"status": 503, "after": True}]
    headers = {"Authorization": emulator.config.account_key}
    async with httpx.AsyncClient(base_url=emulator.urls.us, headers=headers) as client:
        faults = [every | kind for kind in kinds + lost]
        assert 6 == len((await client.post("/_emulator/faults", json=faults)).json())

        async def attempt() -> str:
            try:
                body = {"audio_url": "https://example.org/audio.wav"}
                answer = await client.post("/v2/transcript", json=body)
            except httpx.TransportError:
                return "cut"
            return answer.json()["id"] if answer.status_code == 200 else str(answer.status_code)

        outcomes: list[str] = []
        for _ in range(20):
            outcomes += await asyncio.gather(*(attempt() for _ in range(20)))
        await client.delete("/_emulator/faults")
    told = {outcome for outcome in outcomes if len(outcome) == 36}
    made = [job.id for job in emulator.jobs()]
    assert {"cut", "429", "500", "503"} == set(outcomes) - told
    assert told < set(made)
    assert sorted(made) == sorted(row.id for row in emulator.invoice.rows)
