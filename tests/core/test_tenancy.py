"""Who a caller is, and what belongs to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import (
    MASTER,
    Caller,
    Secret,
    Team,
    VirtualKey,
    hash_key,
    is_upload_url,
    mask_key,
    new_virtual_key,
    owns,
    presented_key,
    require_budget,
    require_may_write,
    require_owner,
    require_usable,
)
from aai_gateway.errors import BudgetExceeded, Forbidden, NotFound, Unauthenticated

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
TEAM = Team(id="t1", alias="research")
KEY = VirtualKey(hash="h1", masked="sk-...Ab3d", team_id="t1")
LONE_KEY = VirtualKey(hash="h2", masked="sk-...Zz9z")


# Keys


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("sk-1", "sk-1"),
        ("Bearer sk-1", "sk-1"),
        ("bearer   sk-1 ", "sk-1"),
        ("  sk-1 ", "sk-1"),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("  ", None),
        (None, None),
        ("Basic c2s=", "Basic c2s="),
    ],
)
def test_the_key_in_a_header(header, key):
    assert key == presented_key(header)


def test_new_keys_are_long_and_never_the_same():
    keys = {new_virtual_key() for _ in range(100)}

    assert 100 == len(keys)
    assert all(key.startswith("sk-") and len(key) >= 25 for key in keys)


def test_a_key_is_stored_hashed_and_shown_masked():
    assert "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282" == hash_key("xyz")
    assert "sk-...Ab3d" == mask_key("sk-0123456789Ab3d")


def test_a_good_key_makes_a_caller():
    assert Caller(key=KEY, team=TEAM) == require_usable(KEY, TEAM, NOW)
    assert Caller(key=LONE_KEY, team=None) == require_usable(LONE_KEY, None, NOW)


@pytest.mark.parametrize(
    ("key", "team"),
    [
        (None, None),
        (replace(KEY, blocked=True), TEAM),
        (replace(KEY, expires_at=NOW), TEAM),
        (replace(KEY, expires_at=NOW - timedelta(days=1)), TEAM),
        (KEY, None),
    ],
    ids=["unknown", "blocked", "expires now", "expired", "team gone"],
)
def test_a_key_that_does_not_hold_is_answered_as_assemblyai_answers(key, team):
    with pytest.raises(Unauthenticated) as refused:
        require_usable(key, team, NOW)

    assert (401, "Authentication error, API token missing/invalid") == (
        refused.value.status,
        refused.value.text,
    )


def test_a_key_holds_until_it_expires():
    assert require_usable(replace(KEY, expires_at=NOW + timedelta(seconds=1)), TEAM, NOW).team is TEAM


@pytest.mark.parametrize(("until", "holds"), [(None, True), (1, True), (0, False), (-1, False)])
def test_a_secret_that_was_rotated_out_holds_until_its_grace_is_over(until, holds):
    ends = None if until is None else NOW + timedelta(seconds=until)
    secret = Secret("s1", "sk-...Ab3d", NOW, ends)

    assert holds is not secret.has_ended(NOW)
    if holds:
        assert Caller(KEY, TEAM) == require_usable(KEY, TEAM, NOW, secret)
    else:
        with pytest.raises(Unauthenticated):
            require_usable(KEY, TEAM, NOW, secret)


def test_a_blocked_team_is_told_so():
    with pytest.raises(Forbidden, match="Team research is blocked"):
        require_usable(KEY, replace(TEAM, blocked=True), NOW)


# What a caller may use


@pytest.mark.parametrize(
    ("of_key", "of_team", "expected"),
    [
        (None, ALL_REGIONS, ALL_REGIONS),
        (None, (Region.EU,), (Region.EU,)),
        ((Region.EU,), ALL_REGIONS, (Region.EU,)),
        (ALL_REGIONS, (Region.EU,), (Region.EU,)),
        ((Region.US,), (Region.EU,), ()),
        ((), ALL_REGIONS, ()),
    ],
)
def test_regions_are_those_that_key_and_team_both_allow(of_key, of_team, expected):
    caller = Caller(replace(KEY, regions=of_key), replace(TEAM, regions=of_team))

    assert expected == caller.regions


def test_the_master_key_and_a_key_without_a_team_have_every_region():
    assert ALL_REGIONS == MASTER.regions
    assert ALL_REGIONS == Caller(LONE_KEY, None).regions


@pytest.mark.parametrize(
    ("of_key", "of_team", "model", "allowed"),
    [
        ((), (), "assemblyai/gpt-5", True),
        ((), ("assemblyai/gpt-5",), "assemblyai/gpt-5", True),
        ((), ("assemblyai/gpt-5",), "assemblyai/gpt-5-mini", False),
        ((), ("eu.assemblyai/*",), "eu.assemblyai/gpt-5", True),
        ((), ("eu.assemblyai/*",), "assemblyai/gpt-5", False),
        ((), ("assemblyai/*",), "eu.assemblyai/gpt-5", False),
        (("assemblyai/gpt-5",), ("assemblyai/*",), "assemblyai/gpt-5.1", False),
        (("*",), ("assemblyai/gpt-5",), "assemblyai/gpt-5.1", False),
        (("all-team-models",), ("assemblyai/gpt-5",), "assemblyai/gpt-5", True),
        (("all-proxy-models",), (), "anything", True),
    ],
)
def test_a_model_must_be_allowed_by_key_and_team(of_key, of_team, model, allowed):
    caller = Caller(replace(KEY, models=of_key), replace(TEAM, models=of_team))

    assert allowed is caller.may_use_model(model)
    assert True is MASTER.may_use_model(model)


def test_either_budget_refuses_by_name():
    spent = Budget(max_micros=1, spent_micros=1)

    require_budget(Caller(KEY, TEAM), NOW)
    require_budget(MASTER, NOW)
    with pytest.raises(BudgetExceeded, match=r"Key sk-\.\.\.Ab3d has spent"):
        require_budget(Caller(replace(KEY, budget=spent), TEAM), NOW)
    with pytest.raises(BudgetExceeded, match="Key ci has spent"):
        require_budget(Caller(replace(KEY, alias="ci", budget=spent), TEAM), NOW)
    with pytest.raises(BudgetExceeded, match="Team research has spent"):
        require_budget(Caller(KEY, replace(TEAM, budget=spent)), NOW)


# Ownership


def test_owners_are_teams_then_keys_then_the_master():
    assert ["team:t1", "key:h2", "master"] == [
        Caller(KEY, TEAM).owner,
        Caller(LONE_KEY, None).owner,
        MASTER.owner,
    ]


def test_a_team_owns_what_any_of_its_keys_made():
    require_owner(Caller(replace(KEY, hash="h9"), TEAM), Caller(KEY, TEAM).owner, KEY.hash)
    require_owner(MASTER, "team:t1", "h1")
    require_owner(MASTER, None, None)


@pytest.mark.parametrize("owner", [None, "", "team:t2", "key:h1", "key:h2", "master", "team:T1"])
def test_what_is_not_yours_does_not_exist(owner):
    with pytest.raises(NotFound) as refused:
        require_owner(Caller(KEY, TEAM), owner, KEY.hash)

    assert (400, "Transcript lookup error, transcript id not found") == (
        refused.value.status,
        refused.value.text,
    )


@pytest.mark.parametrize(
    ("owner", "key_hash", "expected"),
    [
        ("team:t1", "h1", True),
        ("team:t1", "h9", False),
        ("team:t1", None, False),
        ("team:t2", "h1", False),
        ("key:h1", "h1", False),
        (None, None, False),
        (None, "h1", False),
    ],
)
def test_a_narrowed_key_owns_what_it_made_for_the_team_that_it_is_in(owner, key_hash, expected):
    narrowed = Caller(replace(KEY, own_only=True), TEAM)

    assert expected is owns(narrowed, owner, key_hash)
    assert ("h1", None, None) == (narrowed.narrowed_to, Caller(KEY, TEAM).narrowed_to, MASTER.narrowed_to)


def test_a_read_only_key_may_write_nothing():
    require_may_write(Caller(KEY, TEAM))
    require_may_write(MASTER)
    with pytest.raises(Forbidden, match=r"^This key is read-only\.$"):
        require_may_write(Caller(replace(KEY, read_only=True), TEAM))


# Upload URLs

UPLOAD = "https://cdn.assemblyai.com/upload/0123/4567"


@pytest.mark.parametrize(
    "url",
    [
        UPLOAD,
        "https://cdn.eu.assemblyai.com/upload/0123",
        "http://cdn.assemblyai.com/upload/0123",
        "HTTPS://CDN.AssemblyAI.COM/upload/0123",
        " https://cdn.assemblyai.com/upload/0123\n",
        "https://cdn.assem\tblyai.com/upload/0123",
        "https://cdn.assemblyai.com:443/upload/0123",
        "https://cdn.assemblyai.com:notaport/upload/0123",
        "https://cdn.assemblyai.com./upload/0123",
        "https://cdn.assemblyai.com..:443/upload/0123",
        "https://user:secret@cdn.assemblyai.com/upload/0123",
        "https://example.org@cdn.assemblyai.com/upload/0123",
        "https://example.org%2f@cdn.assemblyai.com/upload/0123",
        "https://cdn.assemblyai.com\\@example.org/upload/0123",
        "https://cdn.assemblyai.com\\upload\\0123",
        "https:\\\\cdn.assemblyai.com\\upload\\0123",
        "https:/cdn.assemblyai.com/upload/0123",
        "https:cdn.assemblyai.com/upload/0123",
        "https:////cdn.assemblyai.com/upload/0123",
        "//cdn.assemblyai.com/upload/0123",
        "cdn.assemblyai.com/upload/0123",
        "cdn.assemblyai.com:443/upload/0123",
        "https://cdn.assemblyai.com?/upload/0123",
        "https://example.org#@cdn.assemblyai.com/upload/0123",
        "https://cdn%2eassemblyai%2Ecom/upload/0123",
        "https://cdn%252eassemblyai.com/upload/0123",
        "https://cdn。assemblyai．com/upload/0123",
        "https://ｃdn.assemblyai.com/upload/0123",
        "https://cdn.assembly\u00adai.com/upload/0123",
        "https://cdn.assembly\u200bai.com/upload/0123",
        "https://cdn.ap.assemblyai.com/upload/0123",
        "https://0%2F@cdn.assemblyai.c%6fm/upload/0123",
        f"https://example.org/{'a' * 8192}",
    ],
)
def test_an_upload_url_is_seen_in_any_spelling(url):
    assert is_upload_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://assembly.ai/wildfires.mp3",
        "https://storage.googleapis.com/aai-web-samples/espn-bears.m4a",
        "https://example.org/cdn.assemblyai.com/upload/0123",
        "https://example.org/?url=https://cdn.assemblyai.com/upload/0123",
        "https://example.org/a@cdn.assemblyai.com/x",
        "https://cdn.assemblyai.com.example.org/upload/0123",
        "https://mycdn.assemblyai.com.evil/upload",
        "https://cdn.assemblyai.community/upload/0123",
        "https://www.assemblyai.com/x.mp3",
        "https://[::1]/upload",
        "https://[bad/upload",
    ],
)
def test_a_public_url_is_anyones(url):
    assert not is_upload_url(url)


@given(st.data())
def test_no_percent_encoding_hides_an_upload(data):
    host = "".join(
        data.draw(st.sampled_from([c, c.upper(), f"%{ord(c):02x}", f"%25{ord(c):02X}"]))
        for c in "cdn.assemblyai.com"
    )
    userinfo = data.draw(st.one_of(st.just(""), st.text().map(lambda t: quote(t, safe="") + "@")))

    assert is_upload_url(f"https://{userinfo}{host}/upload/0123")
