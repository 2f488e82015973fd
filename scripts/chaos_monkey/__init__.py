"""Kills gateways under load, at random and at chosen moments, and examines the books: `scripts/chaos`."""
