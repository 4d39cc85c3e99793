"""Rules of a bundle: by the library call and by batch scoring alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import BundleError
from recsys.ranking.calibrate import Calibration
from recsys.ranking.probability import Probabilities, Probability
from recsys.ranking.rules import RulesConfig
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.bundle_write import BundleParts
from recsys.serving.ranker import Ranker
from tests.serving.conftest import trees

ITEMS = [f"i{i}" for i in range(8)]
With = Callable[..., Ranker]


@pytest.fixture
def with_rules(bundle_with: Callable[..., Path], parts: BundleParts) -> With:
    def load(chances: bool = False, **rules: Any) -> Ranker:
        changes: dict[str, Any] = {"rules": RulesConfig(**rules)}
        if chances:
            one = Probability(trees(parts.columns), Calibration(0.1, -2.0))
            changes["probabilities"] = Probabilities(parts.columns, None, {"p_purchase": one}, {})
        return Ranker.load(bundle_with(**changes))

    return load


def pages(ranker: Ranker, items: list[str]) -> list[float]:
    codes = ranker.bundle.items.encode(items)
    found: list[float] = ranker.bundle.item_attributes.of(codes)[:, 0].tolist()
    return found


def test_without_rules_nothing_changes(with_rules: With, ranker: Ranker) -> None:
    ours = with_rules()
    assert ours.rank("u1", ITEMS, at="state").item_ids == ranker.rank("u1", ITEMS, at="state").item_ids


def test_exclusions_pins_and_caps(with_rules: With, ranker: Ranker) -> None:
    plain = list(ranker.rank("u1", ITEMS, at="state").item_ids)
    ours = with_rules(exclude=(plain[0], "foreign"), pins=("i9", plain[3]))
    answer = ours.rank("u1", [*ITEMS, "foreign"], at="state")
    assert answer.item_ids[0] == plain[3]
    assert plain[0] not in answer.item_ids and "foreign" not in answer.item_ids
    assert answer.ranks.tolist() == list(range(1, len(plain)))
    capped = with_rules(caps={"pages": 1}).rank("u1", ITEMS, at="state")
    held = pages(ranker, list(capped.item_ids))
    assert len(set(held)) == len(held)
    assert len(capped) == len(set(pages(ranker, ITEMS)))
    assert capped.item_ids[0] == plain[0]


def test_recommendations_gain_pins_and_batch_says_the_same(with_rules: With, tmp_path: Path) -> None:
    ranker = with_rules(pins=("i9",), caps={"kind": 1}, exclude=("i1",))
    answer = ranker.recommend("u1", 3, exclude_seen=False, at="state")
    assert answer.item_ids[0] == "i9"  # sold out, and still wanted by name
    assert "i1" not in answer.item_ids
    done = score_users(ranker, ["u0", "u1"], tmp_path / "out", BatchConfig(k=3, exclude_seen=False))
    rows = pl.read_parquet(done.folder / "*.parquet").filter(pl.col("user_id") == "u1").sort("rank")
    assert rows["item_id"].to_list() == list(answer.item_ids)
    assert rows["score"].to_list() == answer.scores.astype("float32").tolist()


def test_what_cannot_be_had_is_left_out_of_ranked_lists(with_rules: With, ranker: Ranker) -> None:
    assert "i9" in ranker.rank("u1", ["i9", "i2"], at="state").item_ids
    ours = with_rules(only_available=True)
    assert ours.rank("u1", ["i9", "i2", "foreign"], at="state", k=5).item_ids in (
        ("i2", "foreign"),
        ("foreign", "i2"),
    )


def test_order_by_what_a_purchase_earns(with_rules: With) -> None:
    ours = with_rules(chances=True, order_by="value", worth="pages")
    answer = ours.rank("u1", ITEMS, at="state")
    assert answer.p_purchase is not None
    worth = answer.p_purchase * np.array(pages(ours, list(answer.item_ids)))
    assert (np.diff(worth) <= 0).all()
    assert (np.diff(answer.scores) > 0).any()
    described = [{"item_id": "new", "title": "x", "pages": 1e6}]
    assert ours.rank("u1", [*ITEMS, "new"], items=described, at="state").item_ids[0] == "new"
    unpriced = [{"item_id": "new", "title": "x"}]
    assert ours.rank("u1", [*ITEMS, "new"], items=unpriced, at="state").item_ids[-1] == "new"


def test_diversity_by_vectors(with_rules: With, ranker: Ranker) -> None:
    def alike(answer: Any) -> float:
        assert ranker.bundle.vectors is not None
        top = ranker.bundle.vectors.tuned[ranker.bundle.items.encode(list(answer.item_ids[:4]))]
        return float((top @ top.T).sum())

    ours = with_rules(diversity=0.95)
    diverse, plain = ours.rank("u1", ITEMS, at="state"), ranker.rank("u1", ITEMS, at="state")
    assert set(diverse.item_ids) == set(plain.item_ids)
    assert diverse.item_ids[0] == plain.item_ids[0]
    assert alike(diverse) < alike(plain)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            {"caps": {"shelf": 1}},
            "the bundle's rules: expected item columns among price, pages, kind; found shelf",
        ),
        (
            {"order_by": "value"},
            "rules.order_by=value: expected chances of a purchase in the bundle; found none",
        ),
        ({"diversity": 0.5, "diversity_by": "shelf"}, "found shelf"),
    ],
)
def test_rules_that_the_bundle_cannot_follow(with_rules: With, rules: dict[str, Any], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        with_rules(**rules)


def test_diversity_by_vectors_needs_some(bundle_with: Callable[..., Path]) -> None:
    rules = RulesConfig(diversity=0.5)
    with pytest.raises(BundleError, match="rules.diversity_by=vectors: expected item vectors in the bundle"):
        Ranker.load(bundle_with(vectors=None, encoder=None, rules=rules, **without_interest()))


def without_interest() -> dict[str, Any]:
    return {"columns": ("item_x_pages",), "trees": trees(("item_x_pages",))}
