"""A region's /v1/models: what is read from it, and what is refused."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from aai_gateway.core.catalogue import parse_catalogue
from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError


def listed(**changes):
    """One item as the live catalogue has it."""
    item = {
        "id": "m",
        "context_length": 1000,
        "supported_parameters": ["stream"],
        "pricing": {"global": {"prompt": 3, "completions": 15}},
        "retirement_date": 0,
    }
    return item | changes


def parse(*items, region=Region.US):
    text = json.dumps({"object": "list", "data": list(items)})
    return parse_catalogue(region, json.loads(text, parse_float=Decimal))


def pricing(**changes):
    return {"global": {"prompt": 3.0, "completions": 15.0}} | changes


def surcharge(**changes):
    return parse(listed(pricing=pricing(**changes))).models["m"].surcharge


def test_a_model_is_read_whole():
    prices = {"prompt": 3.0, "completions": 15, "input_cache_read": 0.3, "input_cache_write": None}
    model = parse(listed(pricing={"global": prices}, retirement_date=1809648000)).models["m"]

    assert (1000, ("stream",), date(2027, 5, 7)) == (model.context, model.parameters, model.retires)
    assert {
        "input": Decimal("3"),
        "output": Decimal("15"),
        "cache_read": Decimal("0.3"),
        "cache_write": None,
        "cache_write_1h": None,
    } == model.prices


def test_the_noise_of_floats_is_no_price():
    model = parse(listed(pricing=pricing(**{"global": {"prompt": 0.1 + 0.2, "completions": 1}}))).models["m"]

    assert Decimal("0.3") == model.prices["input"]


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, "0"),
        ({"regional_increase_percent": None}, "0"),
        ({"regional_increase_percent": 0}, "0"),
        ({"regional_increase_percent": 0.1}, "0.1"),
        ({"regional_increase_percent": 10.0}, "0.1"),
        ({"regional_increase_percent": 5}, "0.05"),
        ({"regional_increase_percent": 10, "us": {"prompt": 3.3000000000000003, "completions": 16.5}}, "0.1"),
        # The region's own prices decide.
        ({"regional_increase_percent": 10, "us": {"prompt": 3, "completions": 15}}, "0"),
        ({"us": {"prompt": 3.75, "completions": 18.75}}, "0.25"),
        ({"us": None, "eu": {"prompt": 9, "completions": 90}}, "0"),
    ],
)
def test_the_surcharge_is_read_as_a_share_or_as_a_percentage(given, rate):
    assert Decimal(rate) == surcharge(**given)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"context_length": None}, "context_length is None"),
        ({"context_length": True}, "context_length is True"),
        ({"pricing": None}, "pricing is None"),
        ({"pricing": {}}, "pricing.global is None"),
        ({"pricing": {"global": {"prompt": 1}}}, "pricing.global.completions is missing"),
        ({"pricing": pricing(**{"global": {"prompt": "3", "completions": 1}})}, "global.prompt is '3'"),
        ({"pricing": pricing(**{"global": {"prompt": -1, "completions": 1}})}, "global.prompt is -1, which"),
        ({"pricing": pricing(**{"global": {"prompt": 10001, "completions": 1}})}, "not from 0 to 10,000"),
        ({"pricing": pricing(**{"global": {"prompt": True, "completions": 1}})}, "global.prompt is True"),
        ({"pricing": pricing(**{"global": {"prompt": float("nan"), "completions": 1}})}, "prompt is nan"),
        ({"pricing": pricing(regional_increase_percent=101)}, "which is not from 0 to 100"),
        ({"pricing": pricing(us={"prompt": 4, "completions": 15})}, "pricing.us is not pricing.global with"),
        ({"pricing": pricing(us={"prompt": 9, "completions": 45})}, "pricing.us is not pricing.global with"),
        ({"retirement_date": "soon"}, "retirement_date is 'soon'"),
        ({"retirement_date": 10**20}, "retirement_date is 1"),
        ({"supported_parameters": "all"}, "supported_parameters is 'all'"),
        ({"supported_parameters": ["\x1b[2J"]}, "supported_parameters has"),
    ],
)
def test_one_model_that_makes_no_sense_is_that_models_problem(changes, problem):
    found = parse(listed(**changes), listed(id="other"))

    assert ["other"] == list(found.models)
    assert ["m"] == list(found.problems)
    assert problem in found.problems["m"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "lists no models"),
        ({"data": []}, "lists no models"),
        ({"data": {"m": 1}}, "lists no models"),
        ({"data": ["m"]}, r"data\[0\] has no usable id"),
        ({"data": [{"id": "a\nb"}]}, r"data\[0\] has no usable id"),
        ({"data": [listed(), listed()]}, "m is listed twice"),
    ],
)
def test_what_is_no_catalogue_is_refused(body, problem):
    with pytest.raises(PriceError, match=problem):
        parse_catalogue(Region.US, body)
