"""What batch scoring is measured on: a model trained on the demo shop, as of two moments of its log."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.core import columns as c
from recsys.core.log import EventLog
from recsys.data.prepare import load as load_prepared
from recsys.data.prepare import prepare
from recsys.pipelines import bundle
from recsys.pipelines.bench_encoder_inputs import tiny_encoder
from recsys.pipelines.bench_serving_world import Size
from recsys.pipelines.path import READS, stage_configs, walk
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load
from recsys.serving.bundle_write import BundleParts, write_bundle


class Moments(NamedTuple):
    """Model folders of one model, the second as of a state further on."""

    before: Path
    after: Path
    users: list[str]
    parts: BundleParts  # of the second


def make_moments(size: Size, active: float, root: Path) -> Moments:
    """Train on the demo shop, with a tiny encoder, since what is measured is not its quality.

    Parameters
    ----------
    size : Size
        Of the shop; at most ``trees`` trees.
    active : float
        Which part of the users did something between the two moments; the second is the end of the log.
    root : Path
    """
    shop = [f"data.shop.{name}={getattr(size, name)}" for name in ("items", "users", "events")]
    asked = ["data=shop", *shop, "encoder=adapter", "trainer.max_epochs=1", "tracking=none"]
    config, _ = load(asked)
    texts = prepare(read_tables(config.data), config.prepare()).items[c.TEXT].to_list()
    encoder = f"encoder.name_or_path={tiny_encoder(texts, root / 'tiny')}"
    config, _ = load([*asked, encoder, f"ranker.num_iterations={size.trees}"])
    done = walk(Runner(root / "work", root / "run", say=lambda line: None), config, "bundle")
    data = load_prepared(done["prepare"].folder)
    settings = stage_configs(config)["bundle"]
    assert isinstance(settings, bundle.Config)
    inputs = {name: done[name].folder for name in READS["bundle"]}
    stops = {"before": moment(data.log, len(data.users), active), "after": len(data.log.time)}
    made = {name: bundle.parts(inputs, settings, data, stop) for name, stop in stops.items()}
    before, after = (write_bundle(root / name, parts) for name, parts in made.items())
    return Moments(before, after, data.users[c.USER_ID].to_list(), made["after"])


def moment(log: EventLog, users: int, active: float) -> int:
    """How many events the log has when a part of the users has yet to do what they do last."""
    interacts = np.isin(log.kind, c.INTERACTIONS)
    last = np.full(users, -1, np.int64)
    last[log.user[interacts]] = np.flatnonzero(interacts)  # the latest wins
    return int(np.sort(last)[-max(round(users * active), 1)])
