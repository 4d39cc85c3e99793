"""What every test stands on: no network, no telemetry, small thread pools, no limit on an example's time."""

import os

import hypothesis

# Before any of these libraries is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MPLBACKEND", "agg")

# The machine may be busy, and the first example of a test may compile kernels.
hypothesis.settings.register_profile("recsys", deadline=None)
hypothesis.settings.load_profile("recsys")
