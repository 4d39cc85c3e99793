"""The commands update and rollback, on the model of the toy run."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from recsys.cli import main
from recsys.core import columns as c
from recsys.serving.bundle import Bundle
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import ToyRun, toy_tables


@pytest.fixture
def model(toy: ToyRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy.run_dir / "model", tmp_path / "model"))


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """The last day's events once more, a day later, by new customers too; the catalogue with a new item."""
    shop = toy_tables()
    day = shop.events.tail(40).with_columns(pl.col(c.TIMESTAMP) + pl.duration(days=1))
    told = {c.USER_ID: "stranger", c.ITEM_ID: "new", c.EVENT_ID: "new"}
    stranger = day.head(1).with_columns(pl.lit(word).alias(name) for name, word in told.items())
    new = shop.items.head(1).with_columns(
        pl.lit("new").alias(c.ITEM_ID), pl.lit("Wool blanket in moss green").alias(c.TITLE)
    )
    events, items = tmp_path / "events.csv", tmp_path / "items"
    pl.concat([day, stranger]).with_columns(pl.col(c.TIMESTAMP).dt.to_string("iso:strict")).rename(
        {c.USER_ID: "customer"}
    ).write_csv(events)
    items.mkdir()
    pl.concat([shop.items, new]).write_parquet(items / "all.parquet")
    return events, items


def given(model: Path, events: Path, items: Path) -> list[str]:
    mapped = ("data=files", "data.columns.events.user_id=customer")
    return [*mapped, f"model={model}", f"events={events}", f"items={items}", "tracking=none"]


def test_an_update_says_what_it_did_and_is_taken_back(
    model: Path, tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old = Bundle.load(model)
    assert main(["update", *given(model, *tables)]) == 0
    said = capsys.readouterr().out
    wanted = {"new users": 1, "new items": 1, "changed items": 0, "texts encoded": 1, "events applied": 41}
    for name, count in wanted.items():
        assert f"\n{name:<28}{count:>12}\n" in said
    assert said.endswith(f"model: {model}\nprevious: {model}.previous\n")
    ranker = Ranker.load(model, verify=True)
    assert ranker.position == old.state.position + 41
    assert "new" in ranker.recommend("stranger", 81, exclude_seen=False, at="state").item_ids

    assert main(["update", *given(model, *tables)]) == 0
    said = capsys.readouterr().out
    assert "1 files of events were applied before" in said
    assert said.endswith(f"nothing new: {model} is as it was\n")

    assert main(["rollback", f"model={model}"]) == 0
    assert "as it was before" in capsys.readouterr().out
    assert Bundle.load(model, verify=True).manifest == old.manifest


def test_texts_of_known_items_are_those_that_the_run_encoded(model: Path, tmp_path: Path) -> None:
    items = toy_tables().items
    items.write_parquet(tmp_path / "items.parquet")
    assert main(["update", f"model={model}", f"items={tmp_path}/items.parquet"]) == 0
    assert not model.with_name("model.previous").exists()


def test_an_updated_model_stays_when_the_run_is_asked_again(
    toy: ToyRun, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    toy.again(folder)
    assert main(["update", *given(folder / "model", *tables)]) == 0
    updated = Bundle.load(folder / "model").manifest
    said = toy.again(folder)
    assert "model/ was updated since it was built, and stays (force=true builds it anew)" in said
    assert Bundle.load(folder / "model", verify=True).manifest == updated
    assert Bundle.load(toy.stage("bundle") / "model", verify=True).manifest["updates"] == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["update", "events=x"],
            "model: expected a model folder; found none. Give one: recsys update",
        ),
        (["rollback"], "model: expected a model folder; found none. Give one: recsys rollback model="),
        (["update", "model={model}"], "events: expected events or items; found neither"),
        (
            ["update", "model={model}", "events={model}/none"],
            "table events: expected a file of parquet",
        ),
        (["update", "model={model}/..", "events=x"], "expected a file manifest.json; found none"),
        (
            ["update", "model={stage}", "events=x"],
            "what the stage bundle keeps for every run. Copy it",
        ),
        (["rollback", "model={model}"], "There is nothing to go back to."),
    ],
)
def test_what_cannot_be_done_is_one_message(
    words: list[str], error: str, toy: ToyRun, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = toy.run_dir / "stages" / "bundle" / "model"
    assert main([word.format(model=model, stage=stage) for word in words]) == 2
    assert error in capsys.readouterr().err
