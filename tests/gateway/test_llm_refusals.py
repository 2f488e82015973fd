from __future__ import annotations

import json
import uuid

import pytest

from aai_gateway.errors import BudgetExceeded, Forbidden, MethodNotAllowed, NotFound, Refused, Unauthenticated
from aai_gateway.gateway.llm_refusals import respond_llm_refusal
from aai_gateway.gateway.wire import Message


async def answered(refusal: Refused) -> tuple[int, dict[bytes, bytes], str]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await respond_llm_refusal(send, refusal)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode()


@pytest.mark.parametrize(
    ("refusal", "status", "body"),
    [
        (NotFound(), 404, '{"request_id":"ID","message":"transcript not found","code":404}'),
        (Forbidden("No."), 403, '{"request_id":"ID","message":"No.","code":403}'),
        (
            BudgetExceeded("Spent."),
            400,
            '{"request_id":"ID","message":"Spent.","code":400,"metadata":{"errors":["Spent."]}}',
        ),
        (
            Unauthenticated(),
            401,
            '{"error":"Authentication error, API token missing/invalid","status":"error","request_id":"ID"}',
        ),
    ],
)
async def test_each_has_the_shape_of_the_service(refusal: Refused, status: int, body: str):
    found, _, text = await answered(refusal)
    request_id = json.loads(text)["request_id"]
    assert request_id == str(uuid.UUID(request_id))
    assert (status, body) == (found, text.replace(request_id, "ID"))


async def test_each_has_an_id_of_its_own_and_its_headers():
    refusal = MethodNotAllowed("No.", headers={"Allow": "POST"})
    (_, headers, one), (_, _, two) = await answered(refusal), await answered(refusal)
    assert one != two
    assert b"POST" == headers[b"Allow"]
