"""A folder of events and items alone, with no setting but where it is."""

import shutil
from dataclasses import replace

import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.pipelines import train_encoder
from recsys.pipelines.path import own_encoder, stage_configs
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load
from recsys.serving.item_text import text_of
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import MODEL, say, scratch, toy_encoder, toy_tables


def test_events_without_impressions_go_from_files_to_a_model() -> None:
    root, tables = scratch(), toy_tables()
    mine = root / "mine"
    mine.mkdir()
    tables.items.select(c.ITEM_ID, c.TITLE).write_parquet(mine / "items.parquet")
    told = tables.events.filter(pl.col(c.EVENT_TYPE) != "impression").head(1500)
    told.select(c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT_TYPE).write_parquet(mine / "events.parquet")
    encoder = f"encoder.name_or_path={toy_encoder()}"
    folders = (f"data.dir={mine}", f"paths.root={root / 'runs'}", f"paths.run_dir={root / 'run'}")
    said = say(["data=files", *MODEL, encoder, *folders])
    assert said[-1] == f"done: {root / 'run'} holds report, recommendations, model"
    ranker = Ranker.load(root / "run" / "model")
    assert len(ranker.recommend(told[c.USER_ID][0], 5)) == 5

    texts = pl.read_parquet(root / "run" / "stages" / "prepare" / "items.parquet").row(0, named=True)
    described = {c.TITLE: texts[c.TITLE], c.BRAND: "not in the catalogue"}
    assert text_of(described, ranker.bundle.text_columns) == texts[c.TEXT] == texts[c.TITLE]


def test_an_encoder_of_ones_own_counts_by_its_content(tmp_path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(toy_encoder(), mine)

    def key(folder) -> str:
        config, _ = load([*MODEL, f"encoder.name_or_path={folder}"])
        again = Runner(tmp_path / "work", tmp_path / "run")
        settings = stage_configs(config)["train-encoder"]
        return again.key(train_encoder.STAGE, own_encoder(config.encoder), settings)

    before = key(mine)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(mine, elsewhere)
    assert key(elsewhere) == before
    (mine / "config.json").write_text((mine / "config.json").read_text() + " ")
    assert key(mine) != before
    assert own_encoder(replace(load([])[0].encoder, name_or_path="minilm")) == {}


ORDER = ("data=files", "data.dir=x", "data.time=order")


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("variants.default.snapshot=daily", r"variants\.default\.snapshot=daily"),
        ("variants.default.lag_hours=2", r"variants\.default\.lag_hours"),
        ("requests.unit=period", r"requests\.unit=period"),
        ("data.real_from=2024-01-01", r"data\.real_from"),
    ],
)
def test_an_order_has_no_hours_and_no_days(override: str, what: str) -> None:
    load([*ORDER])
    load(["data=files", "data.dir=x", override])
    with pytest.raises(ConfigError, match=rf"{what}: expected data\.time=real; found data\.time=order"):
        load([*ORDER, override])


def test_what_competes_follows_what_is_ranked() -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.rows: .*requests\.rows=retrieved; found logged"):
        load(["evaluation.rows=logged"])


def test_directions_of_feature_rows_reach_the_reranker() -> None:
    row = next(iter(load([])[1].features.rows))
    config, _ = load([f"features.rows.{row}.direction=1"])
    monotone = stage_configs(config)["train-ranker"].ranker.monotone
    assert monotone and set(monotone.values()) == {1}
    named = next(iter(monotone))
    config, _ = load([f"features.rows.{row}.direction=1", f"+ranker.monotone.{named}=-1"])
    assert stage_configs(config)["train-ranker"].ranker.monotone[named] == -1


def test_baselines_are_chosen_by_name() -> None:
    config = load(["evaluation.baselines=[ease, sasrec]", "evaluation.ease.l2=30"])[0].evaluation
    assert (config.baselines, config.ease.l2) == (("ease", "sasrec"), 30.0)
    with pytest.raises(ConfigError, match=r"evaluation\.baselines: expected one of .*Did you mean sasrec\?"):
        load(["evaluation.baselines=[sasrek]"])
    with pytest.raises(ConfigError, match=r"evaluation\.ease\.l2: expected above 0; found 0"):
        load(["evaluation.ease.l2=0"])
