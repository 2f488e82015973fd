"""The main job, end to end, on one machine: `aai-gateway demo`. Stands on everything, as `cli` does."""
