"""What an emulator can be told, and where it listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """How an emulator behaves. Ports of 0 are chosen by the system."""

    account_key: str = "emulator-account-key"
    """The US account key, raw, and the EU one too unless `eu_account_key` is given."""
    eu_account_key: str | None = None
    host: str = "127.0.0.1"
    us_port: int = 0
    eu_port: int = 0
    llm_us_port: int = 0
    llm_eu_port: int = 0
    job_seconds: float = 1.0
    """From `queued` to `completed`, the first third of it queued; 0 finishes a job before its submission is
    answered.
    """
    realtime_factor: float = 0.0
    """Added seconds of job time for each second of audio."""
    hear_unknown: bool = True
    """Recognise audio that is no sample with pocketsphinx, when it is installed."""

    def key_of(self, region: str) -> str:
        """The account key of "us" or "eu"."""
        return self.account_key if region == "us" or self.eu_account_key is None else self.eu_account_key


@dataclass(slots=True)
class Pace:
    """How long jobs take that are submitted from now on; see `EmulatorConfig`."""

    job_seconds: float
    realtime_factor: float


@dataclass(frozen=True, slots=True)
class EmulatorUrls:
    """Base URLs without a trailing slash."""

    us: str
    eu: str
    llm_us: str
    llm_eu: str
