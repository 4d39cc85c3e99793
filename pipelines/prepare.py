"""Stage prepare: raw tables, or the demo shop, to coded log, requests and truth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.data.door import Tables, conform
from recsys.data.prepare import PrepareConfig, prepare, save
from recsys.data.sources.files import read_files
from recsys.data.sources.shop import generate
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.settings import DataConfig

TRUE_PREFERENCE = "true_preference"


@dataclass(frozen=True)
class Config:
    """Where the tables come from (``dir`` aside: the content counts), and how they are prepared."""

    data: DataConfig
    prepare: PrepareConfig


def read_tables(data: DataConfig, out: Path | None = None) -> Tables:
    """The input tables; the demo shop's true preference goes into a folder of its own below ``out``."""
    if data.source == "files":
        return read_files(data.files())
    shop = generate(data.shop)
    if out is not None:
        (out / TRUE_PREFERENCE).mkdir()
        shop.truth.save(out / TRUE_PREFERENCE)
    return conform(Tables(shop.events, shop.items, shop.users))


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Read, clean, code, split; write the tables."""
    folder = {str(path.parent) for path in inputs.values()}
    data = replace(config.data, dir=folder.pop()) if folder else config.data
    prepared = prepare(read_tables(data, out), config.prepare)
    save(prepared, out)
    return Facts(notes={"counts": prepared.meta["counts"]}, artifacts=("ledger.parquet",))


STAGE = Stage("prepare", work, ("recsys.data", "recsys.pipelines.prepare"))
