"""The gateway's budget from LiteLLM's config: `litellm_settings` may name it as for LiteLLM itself.

What is relied on (checked by `tests/gateway/test_litellm_budget.py`): while a proxy loads its callbacks,
`proxy_config` holds the whole config with its `os.environ/` references resolved; and `litellm.max_budget`,
when it is not 0, is compared with a counter of one process that never resets, which without LiteLLM's
database would one day refuse every completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import litellm

from aai_gateway.core.budgets import Budget, parse_duration, require_sound_limits
from aai_gateway.errors import ConfigurationError, InvalidRequest
from aai_gateway.gateway.management_shapes import to_micros
from aai_gateway.settings import Settings, environment_name

_FIELDS = ("max_budget", "soft_budget", "budget_duration")


def configured_limits(settings: Settings) -> Budget:
    """What the gateway may spend, by the settings or else LiteLLM's `litellm_settings`, each by itself.

    As in LiteLLM, a `max_budget` of 0 in its config is none. Raises ConfigurationError that names what
    cannot be used.
    """
    config = _litellm_settings()
    hard, soft, duration = (_chosen(settings, config, field) for field in _FIELDS)
    limits = Budget(
        max_micros=_micros(*hard),
        soft_micros=_micros(*soft),
        duration=_duration(*duration),
    )
    with _naming(f"{hard[0]} and {soft[0]}"):
        require_sound_limits(limits)
    return limits


def leave_budget_to_us() -> None:
    """Keep LiteLLM from enforcing the same budget by a count of its own."""
    litellm.max_budget = 0.0


def _litellm_settings() -> Mapping[str, Any]:
    from litellm.proxy import proxy_server

    found = proxy_server.proxy_config.get_config_state().get("litellm_settings")
    return found if isinstance(found, Mapping) else {}


def _chosen(settings: Settings, config: Mapping[str, Any], field: str) -> tuple[str, Any]:
    """What a limit is set to, and what its reader calls it."""
    if (value := getattr(settings, field)) is not None:
        return environment_name(field), value
    value = config.get(field)
    return f"litellm_settings.{field}", None if field == "max_budget" and value == 0 else value


def _micros(name: str, amount: object) -> int | None:
    try:
        return to_micros(amount, name)
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None


def _duration(name: str, text: object) -> str | None:
    with _naming(name):
        return None if text in (None, "") else parse_duration(str(text))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
