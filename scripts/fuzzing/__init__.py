"""Random requests through the real proxy, judged by what arrived behind it: `scripts/fuzz`."""
