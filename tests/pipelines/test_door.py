"""The config door: what passes, what is refused, and in which words."""

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from recsys.core.errors import ConfigError
from recsys.pipelines.door import compose, known_keys, to_dataclass, to_yaml
from recsys.tracking.run import TrackingConfig


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    kind: Literal["counts", "price"]
    half_lives: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Other:
    kind: Literal["nearest"]
    neighbours: int = 10


@dataclass(frozen=True)
class Settings:
    rate: float
    epochs: int = 1
    name: str = "a"
    on: bool = False
    mode: Literal["fast", "slow", 3] = "fast"
    limit: int | None = None
    pair: tuple[int, str] = (1, "a")
    weights: dict[str, float] = field(default_factory=dict)
    rows: tuple[Inner, ...] = ()
    either: Inner | Other | None = None
    place: Path = Path("x")
    colour: Colour = Colour.RED
    words: list[str] = field(default_factory=list)
    anything: Any = None
    size: int | str = 0

    def __post_init__(self):
        if self.epochs < 0:
            raise ValueError("epochs is below 0")


def settings(**values):
    return to_dataclass({"rate": 0.5} | values, Settings, "trainer")


def refused(**values):
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    return str(caught.value)


def test_every_kind_of_field():
    made = settings(
        rate=2,
        epochs=3,
        mode=3,
        limit=4,
        pair=[2, "b"],
        weights={"click": 1, "cart": 2.5},
        rows=[{"kind": "counts", "half_lives": [1, 7]}, {"kind": "price"}],
        either={"kind": "nearest", "neighbours": 3},
        place="data/shop",
        colour="blue",
        words=["a", "b"],
        anything={"x": [1]},
        size="big",
    )
    assert made.rate == 2.0 and type(made.rate) is float
    assert (made.epochs, made.mode, made.limit, made.pair) == (3, 3, 4, (2, "b"))
    assert made.weights == {"click": 1.0, "cart": 2.5}
    assert made.rows == (Inner("counts", (1.0, 7.0)), Inner("price"))
    assert made.either == Other("nearest", 3)
    assert (made.place, made.colour, made.words) == (Path("data/shop"), Colour.BLUE, ["a", "b"])
    assert made.anything == {"x": [1]}
    assert made.size == "big"


def test_what_is_not_given_takes_the_default():
    assert settings() == Settings(rate=0.5)


def test_an_unknown_key_names_the_nearest():
    assert refused(epohcs=2) == (
        "trainer.epohcs: expected one of rate, epochs, name, on, mode, limit, pair, weights, rows, either, "
        "place, colour, words, anything, size; found an unknown key. Did you mean trainer.epochs?"
    )
    assert refused(zzz=2).endswith("found an unknown key. Remove it.")


def test_an_unknown_key_deep_inside_has_its_whole_path():
    text = refused(rows=[{"kind": "price"}, {"kind": "counts", "half_live": [1]}])
    assert text.startswith("trainer.rows[1].half_live: expected one of kind, half_lives;")
    assert "Did you mean trainer.rows[1].half_lives?" in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "2"}, "trainer.epochs: expected an integer; found a word, '2'"),
        ({"epochs": 2.0}, "trainer.epochs: expected an integer; found a number, 2.0"),
        ({"epochs": True}, "trainer.epochs: expected an integer; found a truth value, True"),
        ({"rate": True}, "trainer.rate: expected a number; found a truth value, True"),
        ({"rate": float("nan")}, "trainer.rate: expected a number; found a number, nan"),
        ({"rate": None}, "trainer.rate: expected a number; found null"),
        ({"on": 1}, "trainer.on: expected true or false; found an integer, 1"),
        ({"name": 3}, "trainer.name: expected a word; found an integer, 3"),
        ({"limit": "x"}, "trainer.limit: expected an integer; found a word, 'x'"),
        ({"pair": [1]}, "trainer.pair: expected 2 values; found 1 values"),
        ({"pair": [1, 2]}, "trainer.pair[1]: expected a word; found an integer, 2"),
        ({"words": "ab"}, "trainer.words: expected a list; found a word, 'ab'"),
        ({"weights": [1]}, "trainer.weights: expected a mapping; found a list, [1]"),
        ({"weights": {"click": "x"}}, "trainer.weights.click: expected a number; found a word, 'x'"),
        ({"place": 3}, "trainer.place: expected a path; found an integer, 3"),
        ({"rows": [3]}, "trainer.rows[0]: expected the keys kind, half_lives; found an integer, 3"),
        ({"size": 1.5}, "trainer.size: expected an integer or a word; found a number, 1.5"),
        ({"epochs": -1}, "trainer: expected values that work together; found epochs is below 0"),
        ({"rows": [{}]}, "trainer.rows[0].kind: expected one of counts, price; found nothing"),
    ],
)
def test_a_wrong_type_is_refused(values, message):
    assert refused(**values).startswith(message)


def test_the_string_none_is_refused_everywhere():
    for values in ({"name": "None"}, {"limit": "None"}, {"anything": "None"}, {"words": ["None"]}):
        assert 'found the string "None". Write null for no value.' in refused(**values)


def test_a_misspelt_word_names_the_nearest():
    assert refused(mode="fsat") == (
        "trainer.mode: expected one of fast, slow, 3; found 'fsat'. Did you mean trainer.mode=fast?"
    )
    assert "expected one of red, blue; found 'bleu'" in refused(colour="bleu")
    assert refused(mode="quite other").endswith("Choose one of these.")
    assert "found '3'" in refused(mode="3")  # the word is not the number


def test_of_several_dataclasses_the_one_meant_explains_itself():
    text = refused(either={"kind": "nearest", "neighbours": "x"})
    assert text.startswith("trainer.either.neighbours: expected an integer; found a word, 'x'")
    text = refused(either={"kind": "price", "neighbours": 3})
    assert text.startswith(
        "trainer.either.neighbours: expected one of kind, half_lives; found an unknown key"
    )
    assert refused(either={"kind": "neerest"}).startswith(
        "trainer.either: expected the keys kind, half_lives or the keys kind, neighbours or null; found a"
    )


def test_a_required_key_that_is_missing():
    with pytest.raises(
        ConfigError, match=r"ranker\.rate: expected a number; found nothing. Give one: ranker"
    ):
        to_dataclass({}, Settings, "ranker")


def test_the_composed_configuration_passes_whole():
    config = compose(["name=try", "tracking.copy_limit_mib=2"])
    made = to_dataclass(config.tracking, TrackingConfig)
    assert made == TrackingConfig(kind="mlflow", root="mlruns", experiment="try", copy_limit_mib=2.0)
    assert "copy_limit_mib: 2" in to_yaml(config)
    assert {"tracking.root", "paths.work", "name"} <= set(known_keys(config))


def test_a_node_knows_its_own_path():
    config = compose(["tracking.kind=mlflwo"])
    with pytest.raises(ConfigError, match=r"tracking\.kind: .*Did you mean tracking\.kind=mlflow\?"):
        to_dataclass(config.tracking, TrackingConfig)


def test_a_mandatory_value_and_a_broken_reference():
    config = compose(["tracking.root=???"])
    with pytest.raises(
        ConfigError, match=r"tracking\.root: expected a value; found none. Give one: tracking"
    ):
        to_dataclass(config.tracking, TrackingConfig)
    config = compose(["tracking.root=${nowhere}"])
    with pytest.raises(ConfigError, match="nowhere"):
        to_dataclass(config.tracking, TrackingConfig)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "tracking=nne",
            r"tracking=nne: expected one of mlflow, none; found 'nne'. Did you mean tracking=none\?",
        ),
        ("tracking=zzz", r"expected one of mlflow, none; found 'zzz'. Choose one of these"),
        ("trakking=none", r"trakking: .*Did you mean tracking\?"),
        ("paths.rot=2", r"paths\.rot: expected one of root, work, run_dir; .*Did you mean paths\.root\?"),
        ("experiment=nowhere", r"experiment"),
        ("seed", r"the override 'seed': expected key=value"),
        ("a b=[1", r"the override 'a b=\[1': expected key=value"),
    ],
)
def test_what_hydra_does_not_know(override, message):
    with pytest.raises(ConfigError, match=message):
        compose([override])


def test_two_configurations_in_one_process_are_apart():
    first = compose(["seed=1"])
    second = compose(["seed=2"])
    assert (first.seed, second.seed) == (1, 2)
