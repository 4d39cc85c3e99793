"""Bad input, as a user meets it: exit code 2, one clear message on stderr, no traceback, nothing lost."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from recsys.cli import main

START = 1_700_000_000  # seconds
TIME = pl.Datetime("us", "UTC")
N = 240


class Shop(NamedTuple):
    """The tables of a small shop."""

    events: pl.DataFrame
    items: pl.DataFrame

    def write(self, folder: Path) -> Path:
        folder.mkdir()
        self.events.write_parquet(folder / "events.parquet")
        self.items.write_parquet(folder / "items.parquet")
        return folder


@functools.cache
def sound() -> Shop:
    """Tables without a fault: twelve users click and buy twenty items."""
    rng = np.random.default_rng(3)
    seconds = START + 3600 * np.arange(N)
    events = pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in rng.integers(0, 12, N)],
            "item_id": [f"i{i}" for i in rng.integers(0, 20, N)],
            "timestamp": pl.Series(seconds * 1_000_000).cast(TIME),
            "event_type": rng.choice(["click", "purchase"], N),
        }
    )
    items = pl.DataFrame(
        {"item_id": [f"i{i}" for i in range(20)], "title": [f"thing {i}" for i in range(20)]}
    )
    return Shop(events, items.with_columns(description=pl.lit("a thing"), brand=pl.lit("good")))


def asked(folder, *more):
    return ["data=files", f"data.dir={folder}", "requests.unit=event", "tracking=none", *more]


def refused(capsys, arguments):
    """The one message of a command that must end with code 2."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("recsys: ")
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    assert "; found " in said.err and "expected " in said.err
    assert "the tables can be used" not in said.out
    return said.err


def events(change):
    shop = sound()
    return shop._replace(events=change(shop.events))


def items(change):
    shop = sound()
    return shop._replace(items=change(shop.items))


def shifted(frame, unit):
    """Numbers of seconds, read by somebody as another unit."""
    seconds = frame["timestamp"].dt.epoch("s")
    return frame.with_columns(seconds.cast(pl.Datetime(unit, "UTC")).alias("timestamp"))


BAD = {
    "a missing column": (
        events(lambda frame: frame.rename({"user_id": "user_idd"})),
        ["table events, column user_id: expected the column to be there", "Did you mean 'user_idd'?"],
    ),
    "a missing column of items": (
        items(lambda frame: frame.drop("title")),
        ["table items, column title: expected the column to be there", "data.columns"],
    ),
    "a wrong type": (
        events(lambda frame: frame.with_columns(item_id=pl.lit(1.5))),
        ["table events, column item_id: expected text or whole numbers; found type Float64"],
    ),
    "words for numbers": (
        events(lambda frame: frame.with_columns(price=pl.lit("cheap"))),
        ["table events, column price: expected finite numbers (Float32); found 'cheap'"],
    ),
    "an unknown event type": (
        events(lambda frame: frame.with_columns(event_type=pl.lit("view"))),
        ["table events, column event_type: expected one of impression, click", "data.event_types.view=click"],
    ),
    "naive timestamps": (
        events(lambda frame: frame.with_columns(pl.col("timestamp").dt.replace_time_zone(None))),
        ["table events, column timestamp", "found naive times. Set data.timezone"],
    ),
    "seconds read as milliseconds": (
        events(lambda frame: shifted(frame, "ms")),
        ["table events, column timestamp: expected times between 1990 and 2100; found 1970-01-20", "seconds"],
    ),
    "milliseconds read as seconds": (
        events(
            lambda frame: frame.with_columns(
                (pl.col("timestamp").dt.epoch("s") * 1_000_000_000).cast(pl.Datetime("us", "UTC"))
                .alias("timestamp")
            )
        ),
        ["table events, column timestamp: expected times between 1990 and 2100; found", "read as"],
    ),
    "numbers for times": (
        events(lambda frame: frame.with_columns(pl.col("timestamp").dt.epoch("s"))),
        ["found numbers that look like seconds since 1970", "Set data.epoch"],
    ),
    "duplicate item ids": (
        items(lambda frame: pl.concat([frame, frame.head(2)])),
        ["table items, key item_id: expected one row for each key; found 2 repeated rows, the first with i"],
    ),
    "all items unknown": (
        events(lambda frame: frame.with_columns(item_id="SKU-" + pl.col("item_id"))),
        ["table events, column item_id: expected items of the catalogue", "no known item in 240 events"],
    ),
    "an empty table": (
        events(lambda frame: frame.clear()),
        ["table events: expected rows; found an empty table"],
    ),
    "an empty catalogue": (
        items(lambda frame: frame.clear()),
        ["table items: expected rows; found an empty table"],
    ),
    "a text column that is all empty": (
        items(lambda frame: frame.with_columns(description=pl.lit("  "))),
        ["table items, column description: expected some text; found 20 empty rows", "data.text.columns"],
    ),
}  # fmt: skip


SECONDS = events(lambda frame: frame.with_columns(pl.col("timestamp").dt.epoch("s")))


@pytest.mark.parametrize(
    ("shop", "override", "words"),
    [
        (SECONDS, "data.epoch=milliseconds", "numbers that look like seconds. Set data.epoch=seconds."),
        (BAD["naive timestamps"][0], "data.timezone=Europe/Lisbom", "Did you mean Europe/Lisbon?"),
        (
            events(lambda frame: frame.drop("event_type")),
            "data.format=parquet",
            "data.default_event_type=click",
        ),
        (sound(), "split.rank='0.9'", "recsys: split: expected rank, valid, test in this order"),
        (sound(), "data.clean.min_user_events=1000", "window fit: expected events after cleaning"),
        (sound(), "data.text.columns=[titel]", "Did you mean 'title'?"),
        (sound(), "data.columns={events: {user_id: uid}}", "data.columns.events.user_id names it"),
    ],
)
def test_settings_that_do_not_fit_the_tables(shop, override, words, tmp_path, capsys):
    assert words in refused(capsys, ["validate", *asked(shop.write(tmp_path / "shop"), f"++{override}")])


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_give_one_message_that_says_what_and_where(name, tmp_path, capsys):
    shop, words = BAD[name]
    message = refused(capsys, ["validate", *asked(shop.write(tmp_path / "shop"))])
    for part in words:
        assert part in message


def test_sound_tables_pass(tmp_path, capsys):
    folder = sound().write(tmp_path / "shop")
    assert main(["validate", *asked(folder)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.endswith("the tables can be used\n")
    assert f"events      {N:>12,}\n" in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]  # validate writes nothing


@pytest.mark.parametrize(
    ("shop", "override"),
    [
        ("naive timestamps", "data.timezone=Europe/Berlin"),
        ("numbers for times", "data.epoch=seconds"),
        ("an unknown event type", "data.event_types={view: click}"),
        ("a missing column", "data.columns={events: {user_id: user_idd}}"),
        ("a text column that is all empty", "data.text.columns=[title, brand]"),
    ],
)
def test_what_the_message_advises_helps(shop, override, tmp_path, capsys):
    folder = BAD[shop][0].write(tmp_path / "shop")
    assert main(["validate", *asked(folder, f"++{override}")]) == 0, capsys.readouterr().err


def test_a_few_unknown_items_are_set_aside_with_a_ledger_line(tmp_path, capsys):
    lost = pl.when(pl.int_range(pl.len()) % 40 == 0).then(pl.lit("gone")).otherwise("item_id")
    folder = events(lambda frame: frame.with_columns(lost.alias("item_id"))).write(tmp_path / "shop")
    assert main(["validate", *asked(folder)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "unknown_items: 6 dropped, 234 kept (set aside: the item is not in the catalogue)" in said.out


def test_a_missing_file_and_a_missing_folder(tmp_path, capsys):
    folder = sound().write(tmp_path / "shop")
    (folder / "items.parquet").unlink()
    message = refused(capsys, ["validate", *asked(folder)])
    assert "table items: expected a file items (parquet or csv)" in message and "events.parquet" in message
    for command in ("validate", "run", "prepare", "score"):
        for wrong in (tmp_path / "nowhere", folder / "events.parquet"):
            assert refused(capsys, [command, *asked(wrong)]).startswith("recsys: data.dir: expected a folder")
    assert "data.dir: expected the folder" in refused(capsys, ["validate", "data=files"])


def test_a_file_that_is_not_what_its_name_says(tmp_path, capsys):
    folder = sound().write(tmp_path / "shop")
    (folder / "events.parquet").write_text("user_id,item_id\n")
    assert "expected a readable parquet file" in refused(capsys, ["validate", *asked(folder)])


def test_a_window_without_requests(tmp_path, capsys):
    folder = sound().write(tmp_path / "shop")
    dates = {"rank": "2023-11-18", "valid": "2023-11-20", "test": "2025-01-01"}
    overrides = [f"split.{name}='{date}'" for name, date in dates.items()]
    message = refused(capsys, ["validate", *asked(folder, *overrides)])
    assert message.startswith(
        "recsys: window test: expected events in it; found none; the events lie between"
    )
    late = pl.when(pl.int_range(pl.len()) >= 216).then(pl.lit("impression")).otherwise("event_type")
    shop = events(lambda frame: frame.with_columns(late.alias("event_type")))
    message = refused(capsys, ["validate", *asked(shop.write(tmp_path / "quiet"))])
    assert message.startswith("recsys: window test: expected requests (requests.unit=event")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "split.valdi=0.7",
            "recsys: split.valdi: expected one of rank, valid, test, end; found an unknown key.",
        ),
        ("data.time=ordr", "recsys: data.time: expected one of real, order; found 'ordr'. Did you mean"),
        (
            "encoder=tpo",
            "recsys: encoder=tpo: expected one of adapter, auto, full, lora, small, static, top; "
            "found 'tpo'. Did you mean",
        ),
        ("split.valid='0.5'", "recsys: split: expected "),
    ],
)
def test_an_unknown_key_and_a_misspelt_value(override, message, tmp_path, capsys):
    folder = sound().write(tmp_path / "shop")
    assert refused(capsys, ["run", *asked(folder, override)]).startswith(message)


def tree(folder):
    """Every path below a folder, with the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
        if ".locks" not in path.parts
    }


def test_what_was_there_stays_as_it_was(tmp_path, capsys):
    """A sound run, then bad input into the same work and run folders."""
    paths = [f"paths.root={tmp_path}/out", f"paths.run_dir={tmp_path}/out/run"]
    good = sound().write(tmp_path / "good")
    assert main(["prepare", *asked(good, *paths)]) == 0
    capsys.readouterr()
    before = tree(tmp_path / "out")
    assert any(name.endswith("events.parquet") for name in before)
    for name in ("duplicate item ids", "naive timestamps"):
        bad = BAD[name][0].write(tmp_path / name.replace(" ", "_"))
        refused(capsys, ["run", *asked(bad, *paths)])
        refused(capsys, ["prepare", *asked(bad, *paths)])
    refused(capsys, ["run", *asked(good, *paths, "trainer.epochs=3")])
    after = tree(tmp_path / "out")
    assert {name: content for name, content in after.items() if name in before} == before | {
        "run/manifest.json": after["run/manifest.json"]
    }
    assert set(after) == set(before)
    assert main(["prepare", *asked(good, *paths)]) == 0
    assert "prepare: unchanged, skipped" in capsys.readouterr().out


def test_with_debug_the_traceback_is_there(tmp_path):
    folder = BAD["duplicate item ids"][0].write(tmp_path / "shop")
    with pytest.raises(ValueError, match="key item_id"):
        main(["validate", *asked(folder), "--debug"])
