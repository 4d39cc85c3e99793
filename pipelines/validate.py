"""The command ``recsys validate``: check the input tables, say what is in them, and write nothing."""

from collections.abc import Sequence

from recsys.core.progress import working
from recsys.data.prepare import prepare
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.settings import load


def main(overrides: Sequence[str]) -> int:
    """Read, check, clean and cut in memory."""
    config, _ = load(overrides)
    with working("check the tables"):
        prepared = prepare(read_tables(config.data), config.prepare())
    for name, count in prepared.meta["counts"].items():
        print(f"{name.removeprefix('n_'):<12}{count:>12,}")
    for row in prepared.ledger.iter_rows(named=True):
        print(f"{row['rule']}: {row['dropped']:,} dropped, {row['kept']:,} kept ({row['why']})")
    print("the tables can be used")
    return 0
