"""The id part along the path: from columns of items to a bundle that ranks alike offline and online."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import BundleError, ConfigError
from recsys.core.hashing import hash_value
from recsys.data.prepare import load as load_prepared
from recsys.encoder.ids_config import IdsConfig
from recsys.interest.ids import add_ids, id_part, load_ids
from recsys.interest.vectors import load_vectors
from recsys.pipelines import embed
from recsys.pipelines.id_values import id_values, usable
from recsys.pipelines.parity import compare, read_offline, write_snapshot
from recsys.pipelines.path import stage_configs
from recsys.pipelines.settings import load
from recsys.serving.bundle import Bundle
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import scratch, toy_run

IDS = ("encoder.ids.kind=plain", "encoder.ids.buckets={item_id: 256, category: 64, brand: 64}")
QUICK = ("encoder.ids.lr=0.05", "encoder.ids.length=3")  # ids that count after a few steps
ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b"],
        "category": pl.Series(["x", None], dtype=pl.Categorical),
        "year": [1999, 2001],
        "new": [True, False],
        "price": [1.5, 2.0],
    }
)


def test_columns_that_are_there_in_the_order_of_the_configuration() -> None:
    assert usable(ITEMS, IdsConfig()) == ("item_id", "category")
    config = IdsConfig(columns=("new", "year", "item_id", "brand"))
    assert usable(ITEMS, config) == ("new", "year", "item_id")
    assert id_values(ITEMS, ("category", "year", "new")) == {
        "category": ["x", None],
        "year": [1999, 2001],
        "new": [True, False],
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("item_id", "yaer"), r"columns of items: item_id, category, .* found 'yaer'. Did you mean year\?"),
        (("price",), "expected columns of words or whole numbers; found price of Float64"),
        (("brand",), "expected columns of items: item_id, .*; found brand. Name columns that are there"),
    ],
)
def test_bad_columns_are_refused(columns: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        usable(ITEMS, IdsConfig(columns=columns))


def test_settings_come_through_the_door() -> None:
    given = load(["data=shop", *IDS, "encoder.ids.columns=[item_id, shape]", "encoder.ids.dropout=0.4"])[0]
    buckets = {"item_id": 256, "category": 64, "brand": 64}
    assert given.encoder.ids == IdsConfig("plain", ("item_id", "shape"), buckets, 0.4)
    assert load(["data=shop", "encoder.ids.buckets=9"])[0].encoder.ids == IdsConfig(buckets=9)
    with pytest.raises(ConfigError, match=r"encoder\.ids\.knid: .*Did you mean .*kind"):
        load(["data=shop", "++encoder.ids.knid=plain"])
    with pytest.raises(ConfigError, match=r"encoder\.ids\.buckets"):
        load(["data=shop", "encoder.ids.buckets=many"])


def test_the_vectors_of_a_catalogue_have_id_parts_and_the_cache_texts_alone(tmp_path: Path) -> None:
    """An encoder that was trained without ids gets some by hand; nothing is encoded again."""
    toy = toy_run()
    encoder = tmp_path / "encoder"
    shutil.copytree(toy.stage("train-encoder"), encoder)
    manifest = encoder / "manifest.json"
    text = manifest.read_text()
    assert '"ids": null' in text
    told = '"ids": {"columns": ["category"], "hash": "blake2b-64"}'
    manifest.write_text(text.replace('"ids": null', told))
    inputs = {"prepare": toy.stage("prepare"), "train-encoder": encoder}
    out = tmp_path / "work" / "embed" / "out"
    with pytest.raises(BundleError, match="ids.npz"):
        embed.work(inputs, embed.Config(), out)

    items, before = load_prepared(inputs["prepare"]).items, load_vectors(toy.stage("embed"))
    category = items[c.CATEGORY].to_list()
    vector = np.linspace(-1, 1, before.tuned.shape[1], dtype=np.float32)
    keys = np.array([hash_value(category[0])], np.uint64)
    np.savez(encoder / "ids.npz", **{"keys/category": keys, "vectors/category": vector[None]})
    embed.work(inputs, embed.Config(), out)
    found = load_vectors(out)
    same = np.array([one == category[0] for one in category])
    assert 0 < same.sum() < len(same)
    np.testing.assert_array_equal(found.raw, before.raw)
    np.testing.assert_array_equal(found.tuned[~same], before.tuned[~same])
    part = np.where(same[:, None], vector, np.float32(0))
    np.testing.assert_array_equal(found.tuned, add_ids(before.tuned, part))
    assert np.abs(found.tuned[same] - before.tuned[same]).max() > 0.1


@pytest.mark.slow
def test_offline_and_online_agree_with_ids() -> None:
    toy, root = toy_run(), scratch()
    toy.again(root / "run", *IDS, *QUICK)
    stages = {path.name: path.resolve() for path in (root / "run" / "stages").iterdir()}
    overrides = [*toy.overrides, *IDS, *QUICK]
    config = stage_configs(load(overrides)[0])["bundle"]
    folder = write_snapshot(stages, config, root / "model")  # type: ignore[arg-type]
    compared = list(compare(Ranker.load(folder), read_offline(stages)))
    assert len(compared) > 20 and all(one.equal for one in compared)

    bundle, ranker = Bundle.load(folder), Ranker.load(folder)
    assert bundle.ids is not None and bundle.vectors is not None
    ids = load_ids(stages["train-encoder"])
    items = load_prepared(stages["prepare"]).items
    assert ids is not None
    part = id_part(ids, id_values(items, ids.columns))
    assert np.abs(part).max() > 0.01
    row = items.row(0, named=True)
    given = {name: row[name] for name in (*bundle.text_columns, *ids.columns)} | {"item_id": "new one"}
    tuned, raw = ranker._live._new_items.vectors({0: given}, 1)
    own = id_part(ids, {"item_id": [row["item_id"]]})
    np.testing.assert_allclose(raw[0], bundle.vectors.raw[0], atol=1e-5)
    text = load_vectors(stages["train-encoder"]).tuned[:1]
    np.testing.assert_allclose(tuned, add_ids(text, part[:1] - own), atol=1e-5)
    answer = ranker.rank(
        None, [row["item_id"], "new one"], items=[given], at=datetime(2030, 1, 1, tzinfo=UTC)
    )
    assert len(answer.item_ids) == 2
