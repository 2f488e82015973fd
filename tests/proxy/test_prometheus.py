"""The shipped Prometheus configuration and alerts, by Prometheus's own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml
from gateway_process import REPOSITORY
from system_packages import require

PROXY = REPOSITORY / "proxy"
ALERTS = Path(__file__).with_name("alerts.test.yml")


def promtool(*arguments: str) -> str:
    """What promtool says, when it finds nothing wrong."""
    ended = subprocess.run([require("promtool", "prometheus"), *arguments], capture_output=True, text=True)
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    return ended.stdout


def test_the_configuration_and_its_rules_are_sound(tmp_path: Path):
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(PROXY / name, tmp_path)
    (tmp_path / "metrics.token").write_text("a token of the gateway's")

    assert "is valid prometheus config file syntax" in promtool(
        "check", "config", str(tmp_path / "prometheus.yml")
    )


def test_each_alert_fires_when_it_should_and_is_silent_otherwise():
    assert "SUCCESS" in promtool("test", "rules", str(ALERTS))


def test_each_alert_is_tried_both_ways():
    rules = yaml.safe_load((PROXY / "alerts.yml").read_text())["groups"][0]["rules"]
    tried: dict[str, set[bool]] = {}
    for case in yaml.safe_load(ALERTS.read_text())["tests"]:
        for look in case["alert_rule_test"]:
            tried.setdefault(look["alertname"], set()).add(bool(look["exp_alerts"]))

    assert {rule["alert"]: {True, False} for rule in rules} == tried
