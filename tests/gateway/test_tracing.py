from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from otlp_receiver import OtlpReceiver, otlp_receiver

from aai_gateway.core.operations import resolve
from aai_gateway.core.tenancy import Caller, Team, VirtualKey
from aai_gateway.core.traffic import Tally
from aai_gateway.gateway import tracing
from aai_gateway.gateway.observing import Asking, Observed, begin
from aai_gateway.gateway.tracing import Tracing
from aai_gateway.gateway.wire import Headers

CALLER = Caller(VirtualKey(hash="abcdef0123456789", masked="sk-...1234"), Team(id="t1", alias="research"))
SERVER, CLIENT = 2, 3


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


def begun(traces: Tracing, headers: Headers) -> Observed:
    observed = begin([(b"x-request-id", b"my-id"), *headers])
    observed.trace = traces.begins("GET", headers, observed)
    return observed


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
def test_a_request_is_a_span_and_a_question_one_below_it(receiver: OtlpReceiver, path: str) -> None:
    traces = Tracing(f"{receiver.url}{path}")
    observed = begun(traces, [(b"authorization", b"sk-s3cret")])
    observed.caller, observed.status = CALLER, 502
    observed.on_target(resolve("GET", "/eu.assemblyai/v2/transcript/abc/srt"))
    asking = Asking(Tally(), "127.0.0.1:4100", "GET")
    asking.answered(500)
    asking.end()
    assert observed.trace is not None
    observed.trace.end(observed, 502)
    traces.close()

    [root] = receiver.named("GET /eu.assemblyai/v2/transcript/{id}/srt")
    [child] = receiver.named("GET")
    assert (SERVER, "", True) == (root.kind, root.parent, root.is_error)
    assert {
        "http.request.method": "GET",
        "http.route": "/eu.assemblyai/v2/transcript/{id}/srt",
        "http.response.status_code": 502,
        "http.request.body.size": 0,
        "http.response.body.size": 0,
        "aai_gateway.request_id": "my-id",
        "aai_gateway.operation": "srt",
        "aai_gateway.team": "research",
        "assemblyai.operation": "srt",
        "assemblyai.region": "eu",
        "assemblyai.transcript.id": "abc",
    } == root.attributes
    assert (CLIENT, root.id, root.trace, True) == (child.kind, child.parent, child.trace, child.is_error)
    assert {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": 4100,
        "http.response.status_code": 500,
        "error.type": "500",
    } == child.attributes
    assert not any(b"s3cret" in body for body in receiver.raw)


def test_a_clients_own_trace_goes_on(receiver: OtlpReceiver) -> None:
    traces = Tracing(receiver.url)
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for headers in ([(b"traceparent", parent)], [(b"traceparent", b"no such thing")], []):
        observed = begun(traces, headers)
        assert observed.trace is not None
        observed.trace.end(observed, 200)
    traces.close()
    found = {(span.trace, span.parent) for span in receiver.spans}
    assert 3 == len(found)
    assert ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331") in found
    assert 2 == sum(not parent for _, parent in found)


def test_a_transcripts_model_and_length_are_told(receiver: OtlpReceiver) -> None:
    traces = Tracing(receiver.url)
    observed = begun(traces, [])
    assert observed.trace is not None
    transcript = {"id": "abc", "speech_model_used": "universal-2", "audio_duration": 12, "text": "s3cret"}
    observed.trace.heard(transcript)
    observed.trace.end(observed, 200)
    traces.close()
    [span] = receiver.spans
    assert ("universal-2", 12) == (
        span.attributes["assemblyai.speech_model"],
        span.attributes["assemblyai.audio_duration"],
    )
    assert not any(b"s3cret" in body for body in receiver.raw)


def test_a_collector_that_never_answers_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = Tracing(f"http://127.0.0.1:{silent.getsockname()[1]}")
        observed = begun(traces, [])
        assert observed.trace is not None
        observed.trace.end(observed, 200)
        traces.close()
        assert any(thread.name == tracing.THREAD for thread in threading.enumerate())


def test_without_traces_nothing_is_imported_for_them() -> None:
    code = (
        "import sys; from aai_gateway.gateway import chat_wire, observer, passthrough; "
        "from aai_gateway.settings import Settings; from aai_gateway.core.traffic import Tally; "
        "observer.Observer(Tally()).open(Settings()); sys.exit('aai_gateway.gateway.tracing' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], timeout=120).returncode
