"""A folder of events and items alone, with no setting but where it is."""

import polars as pl

from recsys.core import columns as c
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
