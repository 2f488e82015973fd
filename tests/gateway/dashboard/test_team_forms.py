"""Teams by forms: the rules of the endpoints, errors beside their field, and nobody's change lost."""

from __future__ import annotations

import pytest
from dashboard_client import browser, form_of, send, sign_in, text_of
from opened_gateway import KEY, MASTER, TEAM

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.limits import Limits
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team
from aai_gateway.store import audit_log, keys, teams, transcripts
from aai_gateway.store.transcripts import Transcript

EDIT = f"/teams/{TEAM}/edit"


@pytest.fixture
async def client(client):
    await sign_in(client, MASTER)
    return client


async def team(gateway, team_id: str = TEAM) -> Team | None:
    async with gateway.store.read() as connection:
        return await teams.by_id(connection, team_id)


async def named(gateway, alias: str) -> Team | None:
    async with gateway.store.read() as connection:
        return await teams.get(connection, alias)


async def actions(gateway) -> list[tuple[str, str, str]]:
    async with gateway.store.read() as connection:
        entries = await audit_log.list_entries(connection, audit_log.AuditFilter(action="team.*"), limit=9)
    return [(entry.action, entry.actor, entry.source) for entry in entries if entry.actor != "gateway"]


async def record(gateway, region: Region = Region.US, number: int = 0, **of) -> None:
    async with gateway.store.write() as connection:
        one = Transcript(
            id=f"transcript-{number}",
            region=region,
            owner=of.get("owner", f"team:{TEAM}"),
            team_id=TEAM,
            key_hash=None,
            audio_url="https://example.org/a",
            created_at=utc_now(),
        )
        await transcripts.record(connection, one)


async def test_a_team_is_made_with_everything_that_it_may_have(client, gateway):
    answer = await send(
        client,
        "/teams/new",
        team_alias="Presse & Funk <b>",
        regions="eu",
        models="eu.assemblyai/*\r\n\r\n eu.assemblyai/claude-sonnet-4-6 ",
        max_budget="$50.5",
        soft_budget="40",
        budget_duration="1mo",
        rpm_limit="60",
        upload_bytes_per_day="1000000",
    )
    made = await named(gateway, "Presse & Funk <b>")
    assert made is not None
    assert (303, f"/dashboard/teams/{made.id}") == (answer.status_code, answer.headers["location"])
    assert ((Region.EU,), ("eu.assemblyai/*", "eu.assemblyai/claude-sonnet-4-6")) == (
        made.regions,
        made.models,
    )
    budget = made.budget
    assert (50_500_000, 40_000_000, "1mo") == (budget.max_micros, budget.soft_micros, budget.duration)
    assert Limits(requests_per_minute=60, upload_bytes_per_day=1_000_000) == made.limits
    assert [("team.create", "master", "127.0.0.1 (dashboard)")] == await actions(gateway)
    page = await client.get(f"/dashboard/teams/{made.id}/edit")
    assert "<b>" not in page.text.partition('<form class="form"')[2].partition("</form>")[0]
    form = form_of(page, f"/teams/{made.id}/edit")
    assert ("50.5", "eu", "60", "") == tuple(
        form[name] for name in ("max_budget", "regions", "rpm_limit", "concurrent_jobs")
    )


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("team_alias", "", "A team needs a name."),
        ("max_budget", "much", "Budget must be an amount in USD"),
        ("max_budget", "-1", "Budget must be an amount in USD"),
        ("max_budget", "1,000", "Budget must be an amount in USD"),
        ("soft_budget", "99", "must be lower than the budget"),
        ("budget_duration", "monthly", "is no duration"),
        ("rpm_limit", "0", "greater than or equal to 1"),
        ("rpm_limit", "many", "valid integer"),
        ("regions", "mars", "'us' or 'eu'"),
        ("models", "x" * 300, "at most 256"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    client, gateway, field, value, says
):
    typed = {"team_alias": "research", "max_budget": "50", "rpm_limit": "7", field: value}
    answer = await send(client, "/teams/new", **typed)
    assert 400 <= answer.status_code < 500
    error = answer.text.partition(f'id="{field}-error">')[2].partition("<")[0]
    assert says in error.replace("&#39;", "'")
    form = form_of(answer, "/teams/new")
    assert {**typed, "regions": form["regions"]} == {
        **{name: form[name] for name in typed},
        "regions": form["regions"],
    }
    assert await named(gateway, "research") is None


async def test_a_name_that_is_taken_is_refused(client, gateway):
    answer = await send(client, "/teams/new", team_alias=TEAM)
    assert 400 == answer.status_code
    assert f"or the name {TEAM}" in text_of(answer)


async def test_what_is_changed_is_changed_and_the_rest_stays(client, gateway):
    async with gateway.store.write() as connection:
        budget = Budget(max_micros=5_000_000, duration="30d", spent_micros=7)
        await teams.update(connection, TEAM, budget=budget, spent_micros=7, metadata={"seat": 4})
    before = await team(gateway)
    answer = await send(client, EDIT, max_budget="80", concurrent_jobs="3")
    assert (303, f"/dashboard{EDIT}?done=saved") == (answer.status_code, answer.headers["location"])
    after = await team(gateway)
    assert 80_000_000 == after.budget.max_micros
    assert (before.budget.resets_at, 7) == (after.budget.resets_at, after.budget.spent_micros)
    assert ({"seat": 4}, ALL_REGIONS, 3) == (after.metadata, after.regions, after.limits.concurrent_jobs)
    assert "Saved" in text_of(await client.get(answer.headers["location"]))


async def test_a_change_that_somebody_else_made_meanwhile_is_not_lost(client, gateway):
    form = form_of(await client.get(f"/dashboard{EDIT}"), EDIT)
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, budget=Budget(max_micros=20_000_000))
    answer = await client.post(f"/dashboard{EDIT}", data={**form, "max_budget": "30", "rpm_limit": "5"})
    assert 409 == answer.status_code
    assert "Budget: none before, 20 now" in text_of(answer)
    assert 20_000_000 == (await team(gateway)).budget.max_micros
    # What was typed is still there, and holds when it is sent by who has seen the change.
    again = form_of(answer, EDIT)
    assert ("30", "5") == (again["max_budget"], again["rpm_limit"])
    assert 303 == (await client.post(f"/dashboard{EDIT}", data=again)).status_code
    assert 30_000_000 == (await team(gateway)).budget.max_micros


@pytest.mark.parametrize("seen", ["", "x", "[]", "{}", '{"max_budget": "1"}'])
async def test_a_form_that_does_not_say_what_it_saw_changes_nothing(client, gateway, seen):
    answer = await send(client, EDIT, seen=seen, max_budget="30")
    assert 409 == answer.status_code
    assert (await team(gateway)).budget.max_micros is None


async def test_spending_is_no_change(client, gateway):
    form = form_of(await client.get(f"/dashboard{EDIT}"), EDIT)
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, spent_micros=9)
    assert 303 == (await client.post(f"/dashboard{EDIT}", data={**form, "max_budget": "30"})).status_code


async def test_a_team_is_blocked_and_unblocked(client, gateway):
    for action, is_blocked in (("block", True), ("unblock", False)):
        answer = await send(client, EDIT, f"/teams/{TEAM}/{action}")
        assert 303 == answer.status_code
        assert is_blocked == (await team(gateway)).blocked


async def test_a_deletion_asks_for_the_name_and_says_what_becomes_of_the_transcripts(client, gateway):
    await record(gateway)
    delete = f"/teams/{TEAM}/delete"
    page = await client.get(f"/dashboard{delete}")
    assert "its 1 key with it" in text_of(page)
    assert "1 transcripts" in text_of(page)
    for fields, says in (
        ({"confirm": "", "transcripts": "keep"}, "Type team-1 to delete it."),
        ({"confirm": "team-2", "transcripts": "keep"}, "Type team-1 to delete it."),
        ({"confirm": TEAM}, "Say what becomes of its 1 transcripts."),
        ({"confirm": TEAM, "transcripts": "burn"}, "Say what becomes"),
        ({"confirm": TEAM, "transcripts": "move"}, "Choose the team that gets them."),
    ):
        answer = await send(client, delete, **fields)
        assert 400 <= answer.status_code < 500, fields
        assert says in text_of(answer) or "burn" in str(fields), fields
        assert await team(gateway) is not None
    answer = await send(client, delete, confirm=TEAM, transcripts="keep")
    assert (303, "/dashboard") == (answer.status_code, answer.headers["location"])
    assert await team(gateway) is None
    [deleted] = await actions(gateway)
    assert "team.delete" == deleted[0]


async def test_transcripts_move_to_a_team_that_may_have_them(client, gateway):
    await record(gateway)
    async with gateway.store.write() as connection:
        await teams.create(connection, Team(id="heir", alias="Erben"))
        await teams.create(connection, Team(id="eu", alias="EU", regions=(Region.EU,)))
    delete = f"/teams/{TEAM}/delete"
    answer = await send(client, delete, confirm=TEAM, transcripts="move", move_to="eu")
    assert 400 == answer.status_code
    assert "may not use the US region" in text_of(answer)
    answer = await send(client, delete, confirm=TEAM, transcripts="move", move_to="heir")
    assert 303 == answer.status_code


@pytest.mark.parametrize("team_id", ["new", "a/b", "..", "~x", "a b", "ä?#%", ".hidden", "x" * 256])
async def test_every_id_has_a_page(client, gateway, team_id):
    async with gateway.store.write() as connection:
        await teams.create(connection, Team(id=team_id, alias="odd"))
    from aai_gateway.gateway.dashboard.scope import team_path

    assert 200 == (await client.get(f"/dashboard{team_path(team_id)}/edit")).status_code
    answer = await send(client, f"{team_path(team_id)}/edit", max_budget="3")
    assert 303 == answer.status_code
    assert 3_000_000 == (await team(gateway, team_id)).budget.max_micros


async def test_a_team_that_is_not_there_has_no_page(client):
    for action in ("edit", "delete"):
        assert 404 == (await client.get(f"/dashboard/teams/nobody/{action}")).status_code


async def test_a_deleted_team_takes_its_keys_along(client, gateway):
    await send(client, f"/teams/{TEAM}/delete", confirm=TEAM)
    async with gateway.store.read() as connection:
        assert [] == await keys.list_all(connection, TEAM)
    async with browser(gateway) as other:
        assert 401 == (await sign_in(other, KEY)).status_code
