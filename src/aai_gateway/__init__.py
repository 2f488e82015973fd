"""Share one AssemblyAI account between teams, through one LiteLLM proxy."""

__version__ = "0.1.0"
