"""How well quotes are found, measured on meetings: `scripts/eval quotes`."""
