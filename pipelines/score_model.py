"""The command ``recsys score model=... out=...``: recommendations by a model folder, for whom one likes."""

import os

# each worker is a process with one thread, so that neither their number nor the cores' changes a byte; read
# when the libraries are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Sequence
from pathlib import Path

from recsys.core.progress import working
from recsys.pipelines.model_folder import locked
from recsys.pipelines.score_settings import load
from recsys.serving.asked_users import known_users, read_users
from recsys.serving.batch import score_users
from recsys.serving.earlier import counted
from recsys.serving.forecast import forecast
from recsys.serving.registry import model_folder


def main(overrides: Sequence[str]) -> int:
    """Score, or say what there is to do."""
    config = load(overrides)
    model, out = model_folder(str(config.model)), Path(str(config.out))
    with working("read the users"):
        users = read_users(config.users) if config.users else known_users(model)
    if config.dry_run:
        print("\n".join(forecast(model, users, out, config.scoring, full=config.full).words()))
        return 0
    with locked(out):
        done = score_users(model, users, out, config.scoring, full=config.full)
    if done.skipped and not done.written + done.carried:
        print("nothing was left to do")
    print(f"{done.users:,} users ({counted(done.reasons)}), {done.rows:,} rows")
    print(
        f"partitions: {done.written:,} written, {done.carried:,} carried over, {done.skipped:,} there already"
    )
    print(f"done: {out}")
    return 0
