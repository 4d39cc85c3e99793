"""Weights between the start and the end of a training, and the hold-out that chooses among them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recsys.core.errors import ConfigError, DataError
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import PairModule
from recsys.encoder.interpolate import SHARES, best_between, between
from recsys.encoder.teaching import make_teaching
from tests.encoder.tiny import shown_lists, toy


def test_between_is_the_line_and_whole_numbers_are_the_ends() -> None:
    start = {"a": torch.tensor([0.0, 2.0]), "n": torch.tensor(3)}
    end = {"a": torch.tensor([4.0, 2.0]), "n": torch.tensor(7)}
    middle = between(start, end, 0.25)
    assert middle["a"].tolist() == [1.0, 2.0]
    assert middle["n"] == 7
    assert between(start, end, 0.0)["a"].tolist() == [0.0, 2.0]


@pytest.mark.parametrize("best", SHARES)
def test_the_best_share_is_found_and_the_module_left_at_the_end(best: float) -> None:
    module = nn.Linear(1, 1, bias=False)
    start, end = {"weight": torch.zeros(1, 1)}, {"weight": torch.ones(1, 1)}
    share, value, weights = best_between(module, start, end, lambda: -abs(module.weight.item() - best))
    assert (share, value) == (best, 0.0)
    assert weights["weight"].item() == best
    assert module.weight.item() == 1.0


def test_equal_shares_give_the_nearest_to_the_start() -> None:
    module = nn.Linear(1, 1, bias=False)
    state = {"weight": torch.ones(1, 1)}
    assert best_between(module, state, state, lambda: 1.0)[0] == SHARES[0]


def test_a_training_keeps_the_weights_that_the_holdout_likes_best(tmp_path: Path) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=3, patience=0)
    plain = world.train(tmp_path / "plain", world.config(), trainer)
    result = world.train(tmp_path / "between", world.config(interpolate=True), trainer)
    name = "holdout/click_ndcg_at_10"
    assert [row[name] for row in result.history] == [row[name] for row in plain.history], "steps are the same"
    assert all(row["share"] in SHARES for row in result.history[1:])
    tried = [row[name] for row in result.history] + [row[f"{name}_at_share"] for row in result.history[1:]]
    assert result.manifest["metrics"][name] == max(tried)


def test_it_needs_a_preset_that_leaves_the_language_model_alone() -> None:
    with pytest.raises(
        ConfigError, match="encoder.interpolate: expected False, the default: preset top does not"
    ):
        EncoderConfig(preset="top", interpolate=True)


def test_lists_may_judge_alone(tmp_path: Path) -> None:
    world = toy()
    lists = shown_lists(world)
    config = world.config(lists="judge")
    with pytest.raises(DataError, match="encoder.lists=judge: expected pairs before the lists that judge"):
        first = lists._replace(position=np.zeros_like(lists.position))
        world.train(tmp_path, config, world.trainer(), lists=first)
    result = world.train(
        tmp_path, config, world.trainer(max_epochs=2, patience=0, holdout_max=40), lists=lists
    )
    assert [row["kind"] for row in result.history] == ["start", "pairs", "pairs"]
    assert result.manifest["lists"] == {"learned": 0, "holdout": 40}
    first = sorted(lists.position)[-40]
    assert result.manifest["pairs"]["learned"] == int((world.pairs.position < first).sum()) > 0
    best = max(result.history, key=lambda row: row["holdout/list_auc"])
    assert result.manifest["best_epoch"] == best["epoch"]


def test_an_epoch_may_be_a_part_of_the_pairs(tmp_path: Path) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=1, batch_size=10)
    config = world.config(pairs_per_epoch=25)
    known = world.items
    taught = make_teaching(world.pairs, None, world.log, known, config, trainer, True)
    data = PairModule(taught.pairs, known, ["pairs", "pairs"], trainer)
    sizes = [[len(step.pairs) for step in data.steps(epoch)] for epoch in (0, 1)]
    assert sizes == [[10, 10, 5]] * 2 and len(data.steps(0)) == 3
    seen = [{int(i) for step in data.steps(epoch) for i in step.pairs} for epoch in (0, 1)]
    assert len(seen[0]) == 25 and seen[0] != seen[1], "drawn anew"
