"""The catalogue of columns, and the feature rows that come with the package."""

from importlib.resources import files

import pytest
import yaml

from recsys.features.catalogue import catalogue, feature_markdown, feature_table
from recsys.state.family import Feature, StateConfig
from tests.state.worlds import EVERYTHING, new_state


@pytest.fixture(scope="module")
def default() -> StateConfig:
    text = files("recsys.conf").joinpath("features/default.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    rows = {
        name: Feature(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        )
        for name, row in told.pop("rows").items()
    }
    return StateConfig(rows=rows, **told)


def test_the_catalogue_is_what_a_state_writes() -> None:
    for clock in (True, False):
        assert catalogue(EVERYTHING, clock) == new_state(clock=clock).columns


def test_columns_that_need_a_clock_are_gone_without_one(default: StateConfig) -> None:
    for config in (EVERYTHING, default):
        timed = {c.name for c in catalogue(config) if c.needs_clock}
        without = catalogue(config, clock=False)
        assert timed
        assert not any(c.needs_clock for c in without)
        assert not timed & {c.name for c in without}


def test_default_rows_give_documented_columns(default: StateConfig) -> None:
    columns = catalogue(default)
    assert 40 <= len(columns) <= 60
    assert len({c.name for c in columns}) == len(columns)
    for column in columns:
        assert column.name.startswith(column.scope + "_")
        assert column.meaning
        assert column.unit
    names = {c.name for c in columns}
    assert {"item_click_lift", "pair_share", "pair_surprise", "item_popularity_7d", "pair_purchases"} <= names


def test_default_rows_use_every_family(default: StateConfig) -> None:
    families = {c.family for c in catalogue(default)}
    assert families == {"counts", "pair_counts", "recent", "neighbours", "price", "static"}


def test_the_table_has_a_row_a_column() -> None:
    table = feature_table(EVERYTHING)
    assert table["name"].to_list() == [c.name for c in catalogue(EVERYTHING)]
    assert table.columns == ["name", "meaning", "unit", "family", "key", "scope", "needs_clock", "direction"]
    assert set(table["scope"]) == {"item", "user", "pair"}


def test_markdown_for_documents() -> None:
    config = StateConfig(
        rows={"item_clicks": Feature("counts", "item", "count", types=("click",), half_lives=("7d",))}
    )
    assert feature_markdown(config).splitlines() == [
        "| column | meaning | unit | family | key |",
        "|---|---|---|---|---|",
        "| `item_clicks_7d` | click events of the item, half-life 7d (needs a clock) | events | counts "
        "| item |",
    ]
