from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError, Refused, UpstreamFailed
from aai_gateway.readable import DELETED_URL, ReadableTranscripts

THERE = (200, {"id": "t-1", "audio_url": "https://example.com/a.mp3"})


@contextmanager
def gateway(*answers):
    """A server that gives these answers, one after another; its address, and what it was asked."""
    asked, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            status, body, *headers = left.pop(0)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in dict(*headers).items():
                self.send_header(name, value)
            if "Content-Length" not in dict(*headers):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def may_read(url, transcript_id="t-1", region=Region.US, key="sk-1"):
    return ReadableTranscripts(url, key).may_read(region, transcript_id)


@pytest.mark.parametrize("key", ["sk-1", "Bearer sk-1"])
def test_it_asks_the_route_of_the_region_with_the_key(key):
    with gateway(THERE, THERE) as (url, asked):
        assert may_read(url, key=key)
        assert may_read(f"{url}/", "a/b?", Region.EU, key=key)
    assert [
        ("/assemblyai/v2/transcript/t-1", "Bearer sk-1"),
        ("/eu.assemblyai/v2/transcript/a%2Fb%3F", "Bearer sk-1"),
    ] == asked


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": "Transcript lookup error, transcript id not found"}),
        (404, {"error": "Not found"}),
        (200, {"id": "t-1", "audio_url": DELETED_URL}),
    ],
)
def test_what_is_gone_cannot_be_read(answer):
    with gateway(answer) as (url, _):
        assert not may_read(url)


def test_what_is_turned_away_for_a_moment_is_asked_again():
    with gateway((429, {}, {"Retry-After": "0"}), (503, b"", {"Retry-After": "0"}), THERE) as (url, asked):
        assert may_read(url)
    assert 3 == len(asked)


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, {"error": "Authentication error, API token missing/invalid"}, "Authentication error"),
        (403, {"error": {"message": "This key may not use the EU region"}}, "may not use the EU"),
        (502, b"<html>", "HTTP 502"),
        (404, {"detail": "Not Found"}, "Not Found"),
        (404, b"<html>", "HTTP 404"),
        (400, {"error": {"message": "No connected db."}}, "No connected db"),
    ],
)
def test_what_is_refused_says_why(status, body, text):
    with gateway((status, body)) as (url, _), pytest.raises(Refused, match=text) as refused:
        may_read(url)
    assert status == refused.value.status


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((200, b"<html>"), "answered what is not a transcript"),
        ((200, b"{", {"Content-Length": "9"}), r"broke off the answer \(IncompleteRead\)"),
    ],
)
def test_what_is_no_answer_is_said(answer, text):
    with gateway(answer) as (url, _), pytest.raises(UpstreamFailed, match=text):
        may_read(url)


def test_the_key_does_not_follow_a_redirection():
    with gateway(THERE) as (other, asked_there), gateway((302, b"", {"Location": other})) as (url, asked):
        may_read(url)
    assert ["Bearer sk-1"] == [key for _, key in asked]
    assert [("/", None)] == asked_there


def test_a_gateway_that_is_not_there_says_how_to_name_it():
    with pytest.raises(UpstreamFailed, match=r"Nothing answers at http://127.0.0.1:9/.*AAI_GATEWAY_URL"):
        may_read("http://127.0.0.1:9")
    for url in ("127.0.0.1:9", "file:///etc/hosts", "http://[::1", "http://"):
        with pytest.raises(ConfigurationError, match="is not an http or https address"):
            may_read(url)


@pytest.mark.parametrize("own", [None, "/nowhere.pem"])
def test_authorities_are_read_where_the_address_is_https(monkeypatch, own):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if own:
        monkeypatch.setenv("SSL_CERT_FILE", own)
    with gateway() as (url, _), pytest.raises(UpstreamFailed, match="Nothing answers"):
        may_read(url.replace("http:", "https:"))


@pytest.mark.parametrize("key", ["sk-6a…Hj_a", "sk-1\nsk-2", " "])
def test_a_key_that_no_request_can_carry_is_said(key):
    with pytest.raises(ConfigurationError, match=r"key (has characters|is empty)") as refused:
        may_read("http://127.0.0.1:9", key=key)
    assert "Hj_a" not in str(refused.value)
