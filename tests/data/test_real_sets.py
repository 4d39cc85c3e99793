"""The public sets, read where RECSYS_DATA says they are: counts that their protocols publish."""

import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CLICK, IMPRESSION, RETURN
from recsys.core.log import heads
from recsys.data.pairs import PairsConfig, make_pairs
from recsys.data.prepare import PrepareConfig, Prepared, prepare
from recsys.data.requests import RequestsConfig, request_arrays
from recsys.data.sources.files import FilesConfig, read_files
from recsys.data.split import SplitConfig
from recsys.data.text import TextConfig

ROOT = Path(os.environ.get("RECSYS_DATA", ""))


def made_of(name: str, config: PrepareConfig, limit_s: float) -> Prepared:
    if not os.environ.get("RECSYS_DATA") or not (ROOT / name).is_dir():
        pytest.skip(f"needs the public set {name}: point RECSYS_DATA at the folder that holds it")
    tables = read_files(FilesConfig(dir=str(ROOT / name)))
    prepare(tables, config)  # compiles
    began = time.process_time()
    made = prepare(tables, config)
    assert time.process_time() - began < 4 * limit_s  # of all cores, with room for a busy machine
    return made


def windows_of(made: Prepared) -> dict[str, int]:
    return dict(made.requests.group_by("window").len().rows())


def test_amazon_office_is_the_published_split() -> None:
    split = SplitConfig("2018-05-24", "2018-06-01", "2018-09-01")
    made = made_of("amazon_office", PrepareConfig(time="order", split=split), 2.0)
    assert windows_of(made) == {"rank": 3231, "valid": 4866, "test": 4866}
    assert made.meta["counts"]["n_fit"] == 9484
    assert made.truth.height == made.requests.height  # one target each
    assert made.requests["n_catalogue"].unique().to_list() == [3459]
    assert made.requests.filter(pl.col("window") == "rank")["user"].n_unique() == 3231
    parts = made.events.select("timestamp", "split").sort("timestamp")
    published = {"history": 0, "valid": 2, "test": 3}
    assert parts["split"].replace_strict(published).is_sorted()
    arrays = request_arrays(made.requests)
    first = heads(made.log, arrays.user, cut(made.log, arrays, Policy())["user"])
    assert (first[made.requests["window"] != "rank"] >= 0).all()  # every published row has a history


def test_mind_counts_a_click_once_and_never_shows_it_to_its_request() -> None:
    config = PrepareConfig(
        real_from="2019-11-09",
        text=TextConfig(("title", "category")),
        split=SplitConfig("2019-11-12", "2019-11-13", "2019-11-14"),
        requests=RequestsConfig(unit="impression", rows="logged"),
    )
    made = made_of("mind_small_7k", config, 5.0)
    assert windows_of(made)["test"] == 1306
    before = (made.events["timestamp"].dt.epoch("us") < made.meta["real_from"]).sum()
    assert before > 180_000 and made.meta["real_from"] - made.log.time[0] <= before  # microseconds
    kinds = np.bincount(made.log.kind, minlength=6)
    assert (kinds[IMPRESSION], kinds[CLICK]) == (262_619, 194_063)
    assert int((made.log.request[made.log.kind == CLICK] >= 0).sum()) == 10_403
    assert made.truth["shown"].all()
    test = made.requests.filter(pl.col("window") == "test")
    assert made.truth.join(test, on="request", how="semi").filter(pl.col("label") > 0).height > 1306
    arrays = request_arrays(made.requests)
    visible = cut(made.log, arrays, Policy())["item"]
    last = np.maximum(visible - 1, 0)
    assert (made.log.time[last] < arrays.time).all()
    first = {int(request): i for i, request in reversed(list(enumerate(made.log.request))) if request >= 0}
    assert all(first[int(request)] >= seen for request, seen in zip(arrays.request, visible, strict=True))
    assert made.items["text"].str.starts_with("title: ").all()


def test_online_retail_baskets_hold_no_return() -> None:
    config = PrepareConfig(requests=RequestsConfig(unit="basket", targets=("purchase",)))
    made = made_of("online_retail", config, 5.0)
    assert int((made.log.kind == RETURN).sum()) == 8_459
    bought = made.events.filter(pl.col("event_type") == "purchase")
    baskets = bought.group_by("request_id").agg(pl.col("timestamp").min())
    after = baskets.filter(pl.col("timestamp").dt.epoch("us") >= made.windows.rank)
    assert made.requests.height == after.height
    assert set(made.truth["label"]) == {3}
    pairs = make_pairs(made.log, made.windows.rank, PairsConfig())
    assert len(pairs.user) and not np.isin(made.log.kind[pairs.head], [RETURN, IMPRESSION]).any()
    same = made.log.request[pairs.head] == made.log.request[pairs.position]
    assert not same.any()  # no item of a basket sees another of it


def test_movielens_likes_are_ratings_from_four_on() -> None:
    made = made_of("movielens_small_tmdb", PrepareConfig(requests=RequestsConfig(min_rating=4)), 2.0)
    wanted = made.requests.height
    liked = made.events.filter(
        (pl.col("value") >= 4) & (pl.col("timestamp").dt.epoch("us") >= made.windows.rank)
    )
    assert wanted == liked.height
    assert {"year", "director"} <= set(made.items.columns)
