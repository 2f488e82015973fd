"""The shipped dashboards, as Grafana 11 imports them; `e2e/test_metrics.py` tries their queries."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
import yaml
from gateway_process import REPOSITORY

GRAFANA = REPOSITORY / "proxy" / "grafana"
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"currencyUSD", "percentunit", "s", "short", "reqps", "Bps", "ops"}
COLUMNS = 24


@pytest.fixture(params=sorted(GRAFANA.glob("*.json")), ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text())


def charts(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_it_has_an_identity_of_its_own_and_chooses_its_data_source(dashboard: dict[str, Any]):
    [first, *others] = dashboard["templating"]["list"]

    # Grafana gives it an id; one that is set would take another dashboard's place.
    assert "id" not in dashboard and dashboard["uid"].startswith("aai-gateway-")
    assert 39 == dashboard["schemaVersion"]
    assert ("datasource", "datasource", "prometheus") == (first["name"], first["type"], first["query"])
    assert all(variable["datasource"] == DATA_SOURCE for variable in others)


def test_each_panel_can_be_read(dashboard: dict[str, Any]):
    panels = charts(dashboard)
    for panel in panels:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and defaults["unit"] in UNITS and panel["datasource"] == DATA_SOURCE
        assert defaults["thresholds"]["steps"][0]["value"] is None
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted({*refs})
        for target in panel["targets"]:
            assert target["expr"] and target["datasource"] == DATA_SOURCE
            assert target["instant"] is not target["range"]
            assert target["legendFormat"] or panel["type"] == "table", panel["title"]
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len({*numbers})
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len({*titles})


def test_no_panel_covers_another(dashboard: dict[str, Any]):
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(0 <= place["x"] and place["x"] + place["w"] <= COLUMNS for place in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)


def test_each_instance_is_counted_once(dashboard: dict[str, Any]):
    for panel in charts(dashboard):
        for target in panel["targets"]:
            before = target["expr"].partition("aai_gateway_")[0]
            assert "max" in before, target["expr"]


def test_grafana_finds_them_and_prometheus_where_compose_puts_them():
    services = yaml.safe_load((REPOSITORY / "proxy/compose.yaml").read_text())["services"]
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/aai-gateway.yml").read_text())[
        "providers"
    ]
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    [scraping] = yaml.safe_load((REPOSITORY / "proxy/prometheus.yml").read_text())["scrape_configs"]

    assert f"./grafana:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    assert "http://prometheus:9090" == source["url"] and "prometheus" in services
    assert [{"targets": ["gateway:4000"]}] == scraping["static_configs"] and "gateway" in services
    [token] = services["prometheus"]["secrets"]
    assert f"/etc/prometheus/{scraping['authorization']['credentials_file']}" == token["target"]
    for path in ("prometheus.yml", "alerts.yml"):
        assert f"./{path}:/etc/prometheus/{path}:ro" in services["prometheus"]["volumes"]
