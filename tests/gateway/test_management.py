"""`/key/*` and `/team/*`: LiteLLM's shapes on the real store, for the master key only."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import httpx
import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.guesses import Guesses
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import hash_key
from aai_gateway.gateway.management import OPERATIONS, is_management_path, management_app
from aai_gateway.gateway.management_rows import to_dollars
from aai_gateway.gateway.management_shapes import BadField, to_micros
from aai_gateway.store import Store, keys, ownership, teams, transcripts, usage
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

MASTER = "sk-master-for-this-test-only"


@pytest.fixture
async def store(tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield store
    await store.close()


@pytest.fixture
async def admin(store):
    async def opened():
        return store

    async with client_of(management_app(opened, is_master)) as client:
        yield client


def is_master(header):
    return (header or "").removeprefix("Bearer ") == MASTER


def client_of(app):
    headers = {"Authorization": f"Bearer {MASTER}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://gateway", headers=headers
    )


async def ok(response_of):
    response = await response_of
    assert 200 == response.status_code, response.text
    return response.json()


async def refused(response_of, status, param=...):
    response = await response_of
    assert status == response.status_code, response.text
    error = response.json()["error"]
    assert {"message", "type", "param", "code"} == error.keys()
    assert str(status) == error["code"]
    if param is not ...:
        assert param == error["param"]
    return error["message"]


async def new_key(admin, **body):
    return await ok(admin.post("/key/generate", json=body))


async def new_team(admin, **body):
    return await ok(admin.post("/team/new", json=body))


async def test_a_generated_key_is_shown_once_and_stored_hashed(admin, store):
    made = await new_key(admin, key_alias="laptop", user_id="ada", metadata={"seat": 4}, tags=["lab"])
    assert made["key"].startswith("sk-")
    assert hash_key(made["key"]) == made["token"] == made["token_id"]
    assert f"sk-...{made['key'][-4:]}" == made["key_name"]
    assert {"seat": 4, "tags": ["lab"]} == made["metadata"]

    async with store.read() as connection:
        stored = await keys.by_hash(connection, made["token"])
    assert stored is not None
    assert ("laptop", "ada", None) == (stored.alias, stored.user_id, stored.expires_at)
    assert made["key"] not in repr(stored)
    for answer in (await admin.get("/key/list?return_full_object=true"), await admin.get("/team/list")):
        assert made["key"] not in answer.text


async def test_key_info_takes_the_key_or_its_hash_and_hides_the_hash(admin):
    made = await new_key(admin, key_alias="laptop")
    for named in (made["key"], made["token"]):
        answer = await ok(admin.get("/key/info", params={"key": named}))
        assert named == answer["key"]
        assert "token" not in answer["info"]
        assert ("laptop", "active") == (answer["info"]["key_alias"], answer["info"]["status"])


async def test_amounts_are_micro_dollars_in_the_store(admin, store):
    made = await new_key(admin, max_budget=0.1, budget_duration="30d")
    async with store.read() as connection:
        budget = (await keys.by_hash(connection, made["token"])).budget
    assert (100_000, 0, "30d") == (budget.max_micros, budget.spent_micros, budget.duration)
    assert timedelta(days=29) < budget.resets_at - utc_now() <= timedelta(days=30)
    assert 0.1 == made["max_budget"]
    assert made["budget_reset_at"].endswith("Z")


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        (None, None),
        ("", None),
        (0, 0),
        (10, 10_000_000),
        (0.1, 100_000),
        (0.1 + 0.2, 300_000),
        ("2.5", 2_500_000),
    ],
)
def test_usd_becomes_whole_micro_dollars(amount, micros):
    assert micros == to_micros(amount, "max_budget")


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -0.01, True, "ten", [1]])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(BadField, match="must be an amount in USD"):
        to_micros(amount, "max_budget")


def test_micro_dollars_print_exactly():
    assert "0.123457" == json.dumps(to_dollars(123_457))
    assert Decimal("999999.999999") == Decimal(str(to_dollars(999_999_999_999)))


@pytest.mark.parametrize("amount", ["-1", "-0.000001", "1e30", "1000000001", '"many"', "true", "[]"])
async def test_amounts_that_are_none_are_refused(admin, amount):
    body = f'{{"max_budget": {amount}}}'
    message = await refused(admin.post("/key/generate", content=body), 400, "max_budget")
    assert "max_budget must be an amount in USD from 0 to 1,000,000,000." == message
    assert 0 == (await ok(admin.get("/key/list")))["total_count"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tpm_limit", 0),
        ("max_parallel_requests", 2),
        ("guardrails", ["pii"]),
        ("model_max_budget", {"gpt-5": 1}),
        ("budget_id", "b"),
        ("allowed_routes", ["/v1/models"]),
        ("object_permission", {"vector_stores": ["v"]}),
        ("auto_rotate", True),
        ("max_buget", 5),
    ],
)
@pytest.mark.parametrize("path", ["/key/generate", "/team/new"])
async def test_what_would_not_be_enforced_is_refused_by_name(admin, path, field, value):
    message = await refused(admin.post(path, json={field: value}), 400, field)
    assert message.startswith(f"{field} is not honoured")


@pytest.mark.parametrize("make", ["/key/generate", "/team/new"])
async def test_limits_are_set_shown_changed_and_lifted(admin, make):
    limits = {
        "rpm_limit": 60,
        "concurrent_jobs": 5,
        "concurrent_uploads": 2,
        "upload_bytes_per_day": 10_000_000_000,
    }
    made = (await admin.post(make, json=limits)).raise_for_status().json()
    assert limits == {name: made[name] for name in limits}
    kind, named = ("key", made["key"]) if make == "/key/generate" else ("team", made["team_id"])
    id_field = "key" if kind == "key" else "team_id"
    changed = await admin.post(
        f"/{kind}/update", json={id_field: named, "rpm_limit": None, "concurrent_jobs": 9}
    )
    row = changed.raise_for_status().json()
    row = row if kind == "key" else row["data"]
    assert {**limits, "rpm_limit": None, "concurrent_jobs": 9} == {name: row[name] for name in limits}


@pytest.mark.parametrize("value", [0, -1, 1.5, "60", True, 10**16])
@pytest.mark.parametrize(
    "field", ["rpm_limit", "concurrent_jobs", "concurrent_uploads", "upload_bytes_per_day"]
)
async def test_a_limit_is_a_whole_number_from_one_on(admin, field, value):
    await refused(admin.post("/team/new", json={field: value}), 422, field)


async def test_litellm_s_empty_defaults_are_no_promise(admin):
    await new_key(
        admin,
        rpm_limit=None,
        guardrails=[],
        aliases={},
        permissions={},
        auto_rotate=False,
        key_type="default",
    )
    await new_team(admin, tpm_limit=None, members_with_roles=[], admins=[], organization_id=None)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"key_type": "management"}, 422, "key_type"),
        ({"models": "gpt-5"}, 422, "models"),
        ({"regions": ["mars"]}, 422, "regions.0"),
        ({"regions": []}, 400, "regions"),
        ({"regions": ["us"], "allowed_model_region": "eu"}, 400, "allowed_model_region"),
        ({"duration": "soon"}, 400, "duration"),
        ({"duration": "0d"}, 400, "duration"),
        ({"duration": "999999w"}, 400, "duration"),
        ({"budget_duration": "999999mo"}, 400, "budget_duration"),
        ({"max_budget": 5, "soft_budget": 5}, 400, "soft_budget"),
        ({"soft_budget": -1}, 400, "soft_budget"),
        ({"key_alias": "two\nlines"}, 422, "key_alias"),
        ({"team_id": "nobody"}, 404, "team_id"),
        ({"key": "short"}, 400, "key"),
        ({"key": "sk-tooshort"}, 400, "key"),
        ({"key": "sk-with spaces and more"}, 400, "key"),
        ({"key": MASTER}, 400, "key"),
    ],
)
async def test_bad_key_requests_name_the_field_and_make_nothing(admin, body, status, param):
    await refused(admin.post("/key/generate", json=body), status, param)
    assert 0 == (await ok(admin.get("/key/list")))["total_count"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '"x"',
        '{"spend": 1, "spend": 2}',
        '{"max_budget": NaN}',
        '{"max_budget": Infinity}',
        "\udcff".encode("utf-8", "surrogatepass"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(admin, content):
    await refused(admin.post("/key/generate", content=content), 400)


async def test_a_huge_body_is_refused(admin):
    await refused(admin.post("/key/generate", json={"metadata": {"x": "y" * 1_000_001}}), 413)


async def test_a_key_of_ones_own_works_once(admin):
    chosen = "sk-chosen-by-the-admin"
    assert chosen == (await new_key(admin, key=chosen))["key"]
    assert "This key exists already." == await refused(
        admin.post("/key/generate", json={"key": chosen}), 400, "key"
    )


async def test_two_keys_cannot_share_an_alias(admin):
    await new_key(admin, key_alias="laptop")
    message = await refused(admin.post("/key/generate", json={"key_alias": "laptop"}), 400)
    assert "laptop" in message


async def test_duration_sets_when_a_key_expires(admin):
    now = utc_now()
    made = await new_key(admin, duration="12h")
    assert f"{now + timedelta(hours=12):%Y-%m-%dT%H}" == made["expires"][:13]
    for never in (None, "-1"):
        changed = await ok(admin.post("/key/update", json={"key": made["key"], "duration": never}))
        assert changed["expires"] is None


async def test_regions_and_litellm_s_allowed_model_region_are_one(admin, store):
    for body in ({"regions": ["eu"]}, {"allowed_model_region": "eu"}):
        made = await new_key(admin, **body)
        assert (["eu"], "eu") == (made["regions"], made["allowed_model_region"])
        async with store.read() as connection:
            assert (Region.EU,) == (await keys.by_hash(connection, made["token"])).regions
    both = await new_key(admin, regions=["eu", "us"])
    assert (["us", "eu"], None) == (both["regions"], both["allowed_model_region"])


async def test_a_key_cannot_have_regions_that_its_team_lacks(admin):
    team = await new_team(admin, team_alias="newsroom", regions=["eu"])
    body = {"team_id": team["team_id"], "regions": ["us", "eu"]}
    assert "Team newsroom is limited to eu." == await refused(
        admin.post("/key/generate", json=body), 400, "regions"
    )
    alone = await new_key(admin, regions=["us"])
    body = {"key": alone["key"], "team_id": team["team_id"]}
    await refused(admin.post("/key/update", json=body), 400, "regions")


async def test_key_update_changes_what_is_sent_and_keeps_the_rest(admin):
    made = await new_key(
        admin, key_alias="laptop", max_budget=5, budget_duration="7d", models=["assemblyai/*"]
    )
    changed = await ok(
        admin.post("/key/update", json={"key": made["key"], "max_budget": None, "blocked": True})
    )
    assert made["key"] == changed["key"]
    assert (None, "7d", True) == (changed["max_budget"], changed["budget_duration"], changed["blocked"])
    assert ("laptop", ["assemblyai/*"]) == (changed["key_alias"], changed["models"])
    by_alias = await ok(admin.post("/key/update", json={"key_alias": "laptop", "models": []}))
    assert [] == by_alias["models"]
    await refused(admin.post("/key/update", json={"models": []}), 422, "key")
    await refused(admin.post("/key/update", json={"key": "sk-unknown-but-well-formed"}), 404, "key")


async def test_spend_is_the_period_s_and_can_be_set(admin, store):
    team = await new_team(admin, team_alias="lab")
    made = await new_key(admin, team_id=team["team_id"], max_budget=1, budget_duration="30d")
    row = UsageRow(
        service="speech",
        source_id="t1",
        region=Region.US,
        owner=f"team:{team['team_id']}",
        micros=250_000,
        team_id=team["team_id"],
        key_hash=made["token"],
    )
    async with store.write() as connection:
        assert await usage.record(connection, row)

    info = (await ok(admin.get("/key/info", params={"key": made["token"]})))["info"]
    assert (0.25, 0.25) == (info["spend"], info["total_spend"])
    assert (
        0.25 == (await ok(admin.get("/team/info", params={"team_id": team["team_id"]})))["team_info"]["spend"]
    )
    changed = await ok(admin.post("/key/update", json={"key": made["key"], "spend": 0}))
    assert (0, 0.25) == (changed["spend"], changed["total_spend"])


@pytest.mark.parametrize("kind", ["key", "team"])
async def test_a_soft_budget_is_set_changed_shown_and_taken_away(admin, store, kind):
    make, path, shown = (
        (new_key, "/key/update", lambda answer: answer)
        if kind == "key"
        else (new_team, "/team/update", lambda answer: answer["data"])
    )
    made = await make(admin, max_budget=2, soft_budget=1.5, budget_duration="7d")
    named = {"key": made["key"]} if kind == "key" else {"team_id": made["team_id"]}
    assert (2.0, 1.5) == (made["max_budget"], made["soft_budget"])

    async def update(**body):
        return shown(await ok(admin.post(path, json={**named, **body})))

    message = await refused(admin.post(path, json={**named, "max_budget": 1.5}), 400, "max_budget")
    assert message.endswith("The soft budget of $1.500000 must be lower than the budget of $1.500000.")
    await refused(admin.post(path, json={**named, "soft_budget": 3}), 400, "soft_budget")
    changed = await update(max_budget=10)
    assert (10.0, 1.5, "7d") == tuple(changed[n] for n in ("max_budget", "soft_budget", "budget_duration"))
    assert (await update(soft_budget=None))["soft_budget"] is None
    assert 20.0 == (await update(soft_budget=20, max_budget=None))["soft_budget"]


async def test_the_same_duration_again_goes_on_with_the_period_and_another_begins_one(admin, store):
    made = await new_team(admin, budget_duration="30d", spend=0.5)

    async def update(**body):
        body = {"team_id": made["team_id"], **body}
        return (await ok(admin.post("/team/update", json=body)))["data"]

    same = await update(budget_duration="30d", max_budget=1)
    assert (made["budget_reset_at"], 0.5) == (same["budget_reset_at"], same["spend"])
    monthly = await update(budget_duration="1mo")
    assert monthly["budget_reset_at"].endswith("-01T00:00:00Z")
    assert 0.0 == monthly["spend"]
    await update(spend=0.25)
    forever = await update(budget_duration=None)
    assert (None, None, 0.25) == (forever["budget_duration"], forever["budget_reset_at"], forever["spend"])


async def test_block_and_unblock(admin):
    made = await new_key(admin)
    assert (await ok(admin.post("/key/block", json={"key": made["key"]})))["blocked"] is True
    info = await ok(admin.get("/key/info", params={"key": made["token"]}))
    assert "revoked" == info["info"]["status"]
    assert (await ok(admin.post("/key/unblock", json={"key": made["token"]})))["blocked"] is False
    await refused(admin.post("/key/block", json={"key": "nonsense"}), 400, "key")


async def test_delete_is_all_or_nothing(admin):
    one, two = await new_key(admin, key_alias="one"), await new_key(admin, key_alias="two")
    await refused(admin.post("/key/delete", json={"keys": [one["key"], "sk-unknown-but-well-formed"]}), 404)
    assert 2 == (await ok(admin.get("/key/list")))["total_count"]
    both = [one["key"], two["token"]]
    assert {"deleted_keys": both} == await ok(admin.post("/key/delete", json={"keys": both}))
    assert 0 == (await ok(admin.get("/key/list")))["total_count"]
    await new_key(admin, key_alias="three")
    assert {"deleted_keys": ["three"]} == await ok(admin.post("/key/delete", json={"key_aliases": ["three"]}))
    await refused(admin.post("/key/delete", json={}), 422, "keys")


async def test_key_list_pages_newest_first_as_hashes(admin):
    made = [await new_key(admin, key_alias=f"key-{n:02}") for n in range(12)]
    first = await ok(admin.get("/key/list"))
    assert (12, 1, 2) == (first["total_count"], first["current_page"], first["total_pages"])
    second = await ok(admin.get("/key/list", params={"page": 2}))
    assert [key["token"] for key in reversed(made)] == first["keys"] + second["keys"]
    await refused(admin.get("/key/list", params={"size": 101}), 422, "size")
    await refused(admin.get("/key/list", params={"page": 0}), 422, "page")


async def test_key_list_filters_and_sorts(admin):
    team = await new_team(admin)
    await new_key(admin, key_alias="b-laptop", team_id=team["team_id"], user_id="ada", max_budget=2)
    await new_key(admin, key_alias="a-laptop", user_id="ada2", max_budget=1)
    gone = await new_key(admin, key_alias="c-server")
    await ok(admin.post("/key/block", json={"key": gone["key"]}))

    async def listed(**query):
        query = {"return_full_object": "true", "sort_by": "key_alias", "sort_order": "asc"} | query
        answer = await ok(admin.get("/key/list", params=query))
        return [key["key_alias"] for key in answer["keys"]]

    assert ["a-laptop", "b-laptop", "c-server"] == await listed()
    assert ["b-laptop"] == await listed(team_id=team["team_id"])
    assert ["b-laptop"] == await listed(user_id="ada")
    assert ["a-laptop", "b-laptop"] == await listed(user_id="ada", substring_matching="true")
    assert ["a-laptop", "b-laptop"] == await listed(search="LAPTOP")
    assert ["c-server"] == await listed(status="revoked")
    assert ["c-server"] == await listed(key_hash=gone["token"])
    assert [] == await listed(status="deleted")
    assert ["c-server", "a-laptop", "b-laptop"] == await listed(sort_by="max_budget")
    await refused(admin.get("/key/list?sort_by=secret"), 422, "sort_by")


async def test_a_team_from_beginning_to_end(admin):
    team = await new_team(
        admin,
        team_alias="research",
        max_budget=50,
        budget_duration="1mo",
        regions=["us", "eu"],
        models=["assemblyai/*"],
    )
    assert (50.0, 0.0, ["us", "eu"]) == (team["max_budget"], team["spend"], team["regions"])
    made = await new_key(admin, team_id=team["team_id"])

    body = {"team_id": team["team_id"], "blocked": True, "regions": ["eu"]}
    changed = await ok(admin.post("/team/update", json=body))
    assert team["team_id"] == changed["team_id"]
    assert (True, ["eu"], "research") == tuple(
        changed["data"][n] for n in ("blocked", "regions", "team_alias")
    )
    assert (await ok(admin.post("/team/unblock", json={"team_id": team["team_id"]})))["blocked"] is False
    assert (await ok(admin.post("/team/block", json={"team_id": team["team_id"]})))["blocked"] is True

    info = await ok(admin.get("/team/info", params={"team_id": team["team_id"]}))
    assert "research" == info["team_info"]["team_alias"]
    assert [made["token"]] == [key["token"] for key in info["keys"]]
    assert [] == info["team_memberships"]
    (listed,) = await ok(admin.get("/team/list"))
    assert [made["token"]] == [key["token"] for key in listed["keys"]]

    assert {"deleted_teams": [team["team_id"]]} == await ok(
        admin.post("/team/delete", json={"team_ids": [team["team_id"]]})
    )
    await refused(admin.get("/key/info", params={"key": made["token"]}), 404)
    await refused(admin.get("/team/info", params={"team_id": team["team_id"]}), 404)


def owns(store, owner, transcript_id="j1"):
    """Let an owner have a transcript."""

    async def record():
        row = Transcript(transcript_id, Region.US, owner, "https://example.org/a.wav", settled_at=utc_now())
        async with store.write() as connection:
            await transcripts.record(connection, row)

    return record()


async def heir_of(store, transcript_id="j1"):
    async with store.write() as connection:
        await ownership.hand_over(connection, Region.US, utc_now(), 10)
        return (await transcripts.get(connection, Region.US, transcript_id)).owner


@pytest.mark.parametrize(
    ("fate", "expected"),
    [("delete", "deleted"), ("keep", "master"), ({"move_to": "heir"}, "team:heir")],
)
async def test_what_becomes_of_a_teams_transcripts_must_be_said(admin, store, fate, expected):
    for team_id in ("lab", "heir"):
        await new_team(admin, team_id=team_id)
    await new_team(admin, team_id="eu", regions=["eu"])
    await owns(store, "team:lab")
    for wrong in (None, {"move_to": "eu"}, {"move_to": "lab"}):
        asked = {"team_ids": ["lab"], "transcripts": wrong}
        error = await refused(admin.post("/team/delete", json=asked), 400)
    assert "cannot inherit" in error
    await refused(
        admin.post("/team/delete", json={"team_ids": ["lab"], "transcripts": {"move_to": "x"}}), 404
    )
    await refused(admin.post("/team/delete", json={"team_ids": ["lab"], "transcripts": "burn"}), 422)
    assert {"deleted_teams": ["lab"]} == await ok(
        admin.post("/team/delete", json={"team_ids": ["lab"], "transcripts": fate})
    )
    assert expected == await heir_of(store)
    await new_team(admin, team_id="lab")


async def test_what_becomes_of_a_key_without_a_teams_transcripts_must_be_said(admin, store):
    made = await ok(admin.post("/key/generate", json={}))
    await owns(store, f"key:{made['token']}")
    await refused(admin.post("/key/delete", json={"keys": [made["key"]]}), 400, "transcripts")
    await ok(admin.post("/key/delete", json={"keys": [made["key"]], "transcripts": "delete"}))
    assert "deleted" == await heir_of(store)


async def test_team_ids_and_names_are_taken_once(admin):
    await new_team(admin, team_id="lab", team_alias="The lab")
    await refused(admin.post("/team/new", json={"team_id": "lab"}), 400, "team_id")
    await refused(admin.post("/team/new", json={"team_alias": "The lab"}), 400)
    await refused(admin.post("/team/update", json={"team_id": "The lab"}), 404, "team_id")
    await refused(admin.post("/team/delete", json={"team_ids": []}), 422, "team_ids")


async def test_without_a_name_a_team_goes_by_its_id(admin, store):
    team = await new_team(admin)
    assert team["team_id"] == team["team_alias"]
    async with store.read() as connection:
        assert (await teams.get(connection, team["team_id"])).regions == (Region.US, Region.EU)


@pytest.mark.parametrize("path", sorted(OPERATIONS))
async def test_only_the_master_key_may(admin, path):
    made = await new_key(admin)
    method = OPERATIONS[path][0]
    for header, status in (
        (None, 401),
        ("Bearer sk-unknown", 401),
        (f"Bearer {made['key']}", 403),
        (made["key"], 403),
    ):
        request = admin.build_request(method, path, json={} if method == "POST" else None)
        del request.headers["Authorization"]
        if header:
            request.headers["Authorization"] = header
        response = await admin.send(request)
        assert (status, "auth_error") == (response.status_code, response.json()["error"]["type"])
    assert 1 == (await ok(admin.get("/key/list")))["total_count"]


async def test_another_method_is_refused_in_the_same_shape(admin):
    assert "Method Not Allowed" in await refused(admin.get("/key/generate"), 405)


async def test_a_store_that_fails_answers_503(tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    async with store.write() as connection:
        await connection.exec_driver_sql("DROP TABLE teams")

    async def opened():
        return store

    async with client_of(management_app(opened, is_master)) as client:
        await refused(client.get("/team/list"), 503)
    await store.close()


def test_which_requests_are_for_it():
    assert is_management_path("POST", "/key/generate")
    assert is_management_path("GET", "/key/generate")
    assert not is_management_path("OPTIONS", "/key/generate")
    assert is_management_path("POST", "/key/regenerate")
    assert is_management_path("POST", f"/key/{'0' * 64}/regenerate")
    assert not is_management_path("OPTIONS", "/key/x/regenerate")
    assert not is_management_path("POST", "/key/x/y")
    assert not is_management_path("GET", "/key/generate/")
    assert not is_management_path("GET", "/v1/models")


async def test_own_only_and_read_only_are_set_changed_and_shown(admin, store):
    made = await new_key(admin, own_only=True)
    assert (True, False) == (made["own_only"], made["read_only"])
    changed = await ok(admin.post("/key/update", json={"key": made["key"], "read_only": True}))
    assert (True, True) == (changed["own_only"], changed["read_only"])
    await ok(admin.post("/key/update", json={"key": made["key"], "own_only": False, "read_only": None}))
    info = (await ok(admin.get("/key/info", params={"key": made["key"]})))["info"]
    assert (False, False, None) == (info["own_only"], info["read_only"], info["last_active"])
    async with store.write() as connection:
        await keys.note_used(connection, {made["token"]: datetime(2026, 11, 21, 12, 30, tzinfo=timezone.utc)})
    info = (await ok(admin.get("/key/info", params={"key": made["key"]})))["info"]
    assert "2026-11-21T12:30:00Z" == info["last_active"]
    await refused(admin.post("/key/generate", json={"own_only": "perhaps"}), 422, "own_only")


@pytest.mark.parametrize("place", ["path", "path by id", "body", "body over path"])
async def test_a_key_is_regenerated_and_stays_the_same_key(admin, place):
    made = await new_key(admin, key_alias="laptop", max_budget=5, own_only=True)
    path, body = {
        "path": (f"/key/{made['key']}/regenerate", {}),
        "path by id": (f"/key/{made['token']}/regenerate", {}),
        "body": ("/key/regenerate", {"key": made["key"]}),
        "body over path": ("/key/sk-unknown-but-well-formed/regenerate", {"key": made["key"]}),
    }[place]
    again = await ok(admin.post(path, json={**body, "grace_period": "24h"}))
    assert made["key"] != again["key"]
    assert f"sk-...{again['key'][-4:]}" == again["key_name"]
    kept = ("token", "token_id", "key_alias", "max_budget", "own_only", "created_at")
    assert [made[name] for name in kept] == [again[name] for name in kept]
    assert 1 == (await ok(admin.get("/key/list")))["total_count"]
    for named in (made["key"], made["token"], again["key"], hash_key(again["key"])):
        assert "laptop" == (await ok(admin.get("/key/info", params={"key": named})))["info"]["key_alias"]


async def test_without_a_grace_period_the_old_secret_ends_at_once(admin, store):
    made = await new_key(admin)
    once = await ok(admin.post("/key/regenerate", json={"key": made["key"]}))
    twice = await ok(admin.post("/key/regenerate", json={"key": once["key"], "grace_period": "0h"}))
    async with store.read() as connection:
        secrets = await keys.secrets_of(connection, made["token"])
    last, now = twice["key"], utc_now()
    assert [hash_key(last)] == [secret.hash for secret in secrets if not secret.has_ended(now)]
    await refused(admin.post("/key/block", json={"key": once["key"]}), 404, "key")
    assert (await ok(admin.post("/key/block", json={"key": last})))["blocked"] is True
    assert {"deleted_keys": [last]} == await ok(admin.post("/key/delete", json={"keys": [last]}))


async def test_regenerating_takes_a_key_of_ones_own_and_changes_along(admin):
    made = await new_key(admin, max_budget=5, metadata={"seat": 4})
    body = {"new_key": "sk-chosen-by-the-admin", "max_budget": 7, "read_only": True}
    again = await ok(admin.post(f"/key/{made['token']}/regenerate", json=body))
    assert ("sk-chosen-by-the-admin", 7.0, True) == (again["key"], again["max_budget"], again["read_only"])
    assert {"seat": 4} == again["metadata"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "key"),
        ({"key": "sk-unknown-but-well-formed"}, 404, "key"),
        ({"key": "nonsense"}, 400, "key"),
        ({"key": MASTER}, 400, "key"),
        ({"key": "KEY", "grace_period": "soon"}, 400, "grace_period"),
        ({"key": "KEY", "grace_period": 5}, 422, "grace_period"),
        ({"key": "KEY", "new_key": "sk-short"}, 400, "new_key"),
        ({"key": "KEY", "new_key": MASTER}, 400, "new_key"),
        ({"key": "KEY", "new_key": "KEY"}, 400, "new_key"),
        ({"key": "KEY", "new_master_key": "sk-x"}, 400, "new_master_key"),
        ({"key": "KEY", "team_id": "nobody"}, 404, "team_id"),
    ],
)
async def test_a_key_that_cannot_be_regenerated_keeps_its_secret(admin, store, body, status, param):
    made = await new_key(admin)
    body = {name: made["key"] if value == "KEY" else value for name, value in body.items()}
    message = await refused(admin.post("/key/regenerate", json=body), status, param)
    assert made["key"] not in message
    async with store.read() as connection:
        assert [None] == [one.expires_at for one in await keys.secrets_of(connection, made["token"])]


async def test_only_the_master_key_may_regenerate(admin):
    made = await new_key(admin)
    own = {"Authorization": f"Bearer {made['key']}"}
    await refused(admin.post(f"/key/{made['token']}/regenerate", headers=own), 403)
    await refused(admin.get(f"/key/{made['token']}/regenerate"), 405)


async def test_guesses_of_the_master_key_are_slowed(store):
    async def opened():
        return store

    async with client_of(management_app(opened, is_master, Guesses(3))) as client:
        for number in range(3):
            guess = {"Authorization": f"Bearer sk-{number}"}
            await refused(client.get("/key/list", headers=guess), 401)
        for path in ("/key/list", "/metrics"):
            response = await client.get(path)
            assert (429, "rate_limit_error") == (
                response.status_code,
                response.json()["error"]["type"],
            )
            assert 0 < int(response.headers["retry-after"]) <= 30


async def test_litellm_s_own_types_read_the_answers(admin, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.proxy import _types

    team = await new_team(admin, team_alias="lab", max_budget=2.5, soft_budget=2, budget_duration="7d")
    made = await new_key(admin, team_id=team["team_id"], duration="1h", tags=["a"], models=["assemblyai/*"])
    info = (await ok(admin.get("/key/info", params={"key": made["key"]})))["info"]
    (listed,) = (await ok(admin.get("/key/list?return_full_object=true")))["keys"]
    (of_team,) = await ok(admin.get("/team/list"))

    generated = _types.GenerateKeyResponse.model_validate(dict(made))
    assert (made["token"], made["token"]) == (generated.token, generated.token_id)
    assert generated.expires is not None
    assert ["assemblyai/*"] == _types.LiteLLM_VerificationToken.model_validate(info).models
    assert team["team_id"] == _types.UserAPIKeyAuth.model_validate(listed).team_id
    read = _types.LiteLLM_TeamTable.model_validate(team)
    assert (2.5, 2.0) == (read.max_budget, read.soft_budget)
    assert "lab" == _types.TeamListResponseObject.model_validate(of_team).team_alias
