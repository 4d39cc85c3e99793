"""The cheap encoders: what teaches them."""

from pathlib import Path

import numpy as np
import pytest

from recsys.core.log import PairArrays, make_log
from recsys.encoder.tiers import teaching_texts
from tests.encoder.tiny import toy

KNOWN = np.arange(20)


def test_a_sample_of_the_known_texts_teaches() -> None:
    known = np.array([3, 5, 8, 9])
    config = toy().config(preset="static", distil_texts=3)
    found = teaching_texts(known, config, seed=0)
    assert len(found) == 3 and set(found) < set(known) and (np.diff(found) > 0).all()
    assert (teaching_texts(known, toy().config(preset="static"), seed=0) == known).all()


@pytest.mark.parametrize("most", [10_000, 12])
@pytest.mark.parametrize("preset", ["small", "static"])
def test_texts_of_items_that_are_not_known_teach_nothing(preset: str, most: int, tmp_path: Path) -> None:
    world = toy()
    seen = np.flatnonzero(world.log.item < len(KNOWN))
    log = make_log(
        *(column[seen] for column in (world.log.user, world.log.item, world.log.time, world.log.kind))
    )
    weight = np.ones(len(seen), np.float32)
    pairs = PairArrays(log.user, log.item, log.kind, weight, np.arange(len(seen)), log.prev)
    texts = [text if i < len(KNOWN) else f"red word{i % 5}" for i, text in enumerate(world.texts)]
    vectors = []
    for number, one in enumerate((world.texts, texts)):
        layers = {"layers": 1} if preset == "small" else {}
        early = world._replace(texts=one, log=log, pairs=pairs, items=KNOWN)
        config = early.config(preset=preset, distil_texts=most, **layers)
        early.train(tmp_path / str(number), config, early.trainer(max_epochs=1))
        vectors.append(np.load(tmp_path / str(number) / "tuned.npy"))
    assert np.allclose(vectors[0][: len(KNOWN)], vectors[1][: len(KNOWN)], atol=1e-6)
    assert not np.allclose(vectors[0][len(KNOWN) :], vectors[1][len(KNOWN) :], atol=1e-2)
