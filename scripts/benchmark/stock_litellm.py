"""Stock LiteLLM's own proxy, with one thing changed: where AssemblyAI is.

LiteLLM has the hosts of its `/assemblyai` routes in its code and no setting for them, so the function that
names the host is replaced before LiteLLM's own `litellm` command takes over, by one that answers with
STOCK_ASSEMBLYAI_URL of the environment.
"""

from __future__ import annotations

import os

from litellm import run_server
from litellm.proxy.pass_through_endpoints.llm_provider_handlers.assembly_passthrough_logging_handler import (
    AssemblyAIPassthroughLoggingHandler as Handler,
)

url = os.environ["STOCK_ASSEMBLYAI_URL"]
Handler.get_assembly_base_url_from_region = staticmethod(lambda region: url)
run_server()
