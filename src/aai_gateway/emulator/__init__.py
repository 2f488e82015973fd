"""An AssemblyAI look-alike for tests, demos and offline work.

`Emulator` listens on four loopback ports: speech-to-text and LLM Gateway, US and EU. It checks the account
key, keeps the regions apart, and answers with AssemblyAI's statuses, bodies and refusals. What it hears in
a recording is the script of one of its samples (`sample_path`), or what pocketsphinx recognises.
"""

from __future__ import annotations

from aai_gateway.emulator.amounts import PricesError
from aai_gateway.emulator.catalogue import Model
from aai_gateway.emulator.config import EmulatorConfig, EmulatorUrls, Pace
from aai_gateway.emulator.faults import Fault, FaultError, Faults
from aai_gateway.emulator.job_report import JobReport
from aai_gateway.emulator.price_changes import PriceChange, Prices
from aai_gateway.emulator.request_log import LoggedRequest
from aai_gateway.emulator.sample_audio import sample_names, sample_path
from aai_gateway.emulator.server import Emulator, running_emulator

__all__ = [
    "Emulator",
    "EmulatorConfig",
    "EmulatorUrls",
    "Fault",
    "FaultError",
    "Faults",
    "JobReport",
    "LoggedRequest",
    "Model",
    "Pace",
    "PriceChange",
    "Prices",
    "PricesError",
    "running_emulator",
    "sample_names",
    "sample_path",
]
