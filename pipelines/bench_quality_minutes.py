"""How long one whole run takes on one core: strict and refit, from the raw files to the evaluation."""

import os
import subprocess
import sys
import tempfile
import time

from recsys.pipelines.bench import Figure
from recsys.pipelines.bench_encoder_inputs import OFFICE
from recsys.pipelines.bench_quality_runs import config_of
from recsys.pipelines.bench_told import Told

GOAL = 12.0
FEW = "evaluation.baselines=[popularity,text_raw]"  # the time is that of our models
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")


def minutes(name: str, told: Told) -> list[Figure]:
    """Run once, in a folder of its own and in processes that may use one core."""
    config, overrides = config_of(OFFICE, told.seeds[0], told)
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "recsys", "run", *overrides, FEW, f"paths.root={root}"]
        core = min(os.sched_getaffinity(0))
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, **ONE_THREAD},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            capture_output=True,
            text=True,
        )
        took = (time.perf_counter() - begin) / 60
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    note = (
        f"{OFFICE}, seed {told.seeds[0]}, {' and '.join(config.variants)}, encoder={config.encoder.preset}, "
        "catalogue vectors, evaluation and model folder included, from nothing, on one core"
    )
    return [Figure(name, took, "min", "", GOAL, "max", note=note)]
