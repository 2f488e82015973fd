"""This gateway and stock LiteLLM side by side, in front of the same emulator: `scripts/bench`."""
