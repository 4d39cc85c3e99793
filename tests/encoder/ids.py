"""Item columns for the toy world, and an encoder with an id part that is ready for a step."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recsys.core.columns import CLICK, PURCHASE
from recsys.core.errors import MissingExtraError
from recsys.core.log import PairArrays, make_log
from recsys.encoder.batch import histories
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import PairData
from recsys.encoder.id_tower import IdTower, import_torchrec
from recsys.encoder.ids_config import IdsConfig
from recsys.encoder.module import EncoderModule
from recsys.encoder.trainer_config import TrainerConfig

N_ITEMS = 40


def missing_torchrec() -> str:
    """Why torchrec cannot be used here; empty where it can."""
    try:
        import_torchrec()
    except MissingExtraError as error:
        return str(error)
    return ""


needs_torchrec = pytest.mark.skipif(bool(missing_torchrec()), reason=missing_torchrec() or "it is there")


def columns(n: int = N_ITEMS) -> dict[str, list[object]]:
    """Ids, a category that says what the text does not, and a brand that some lack."""
    return {
        "item_id": [f"i{i}" for i in range(n)],
        "category": ["toys" if i % 4 < 2 else "books" for i in range(n)],
        "brand": [None if i % 5 == 0 else f"b{i % 3}" for i in range(n)],
    }


class PooledTexts(nn.Module):
    """Stands where the text tower stands when vectors are cached."""

    dims = 16
    top = None


def shop_module(kind: str, **changes: Any) -> tuple[EncoderModule, PairData]:
    """A module with shaken weights and tables over random text vectors, and pairs for a step."""
    ids = IdsConfig(**({"kind": kind, "buckets": 64, "lr": 0.05, "length": 3.0} | changes))
    config = EncoderConfig(ids=ids, adapter_size=8, queries=2, rank=4, history=6, preset="adapter")
    trainer = TrainerConfig(lr=5e-3, accelerator="cpu")
    rng, n, known = np.random.default_rng(6), 500, np.arange(N_ITEMS)
    log = make_log(
        rng.integers(0, 20, n),
        rng.integers(0, N_ITEMS, n),
        np.arange(n) * 10**6,
        rng.choice([CLICK, PURCHASE], n),
    )
    pairs = PairArrays(log.user, log.item, log.kind, np.ones(n, np.float32), np.arange(n), log.prev)
    tower = IdTower(ids, columns(), known, PooledTexts.dims, seed=3)
    text: Any = PooledTexts()
    torch.manual_seed(2)
    module = EncoderModule(text, config, trainer, ["pairs"], 10, tower)
    shaken = [
        p for part in (module.head, module.user) for n, p in part.named_parameters() if "scale" not in n
    ]
    for parameter in [*shaken, *tower.tables().values()]:
        nn.init.normal_(parameter, std=0.1)
    cache: Any = None
    module.prepare(torch.randn(N_ITEMS, PooledTexts.dims), cache, known, None)
    module.on_train_epoch_start()
    return module, PairData(pairs, histories(log, pairs.head, config.history, True), known, config)
