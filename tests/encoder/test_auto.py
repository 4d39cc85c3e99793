"""What fits the time is chosen; the estimate is a pure function of a measurement."""

import dataclasses
import math
from pathlib import Path

import pytest

from recsys.encoder import auto
from recsys.encoder.auto import ORDER, Measured, Work, choose, estimate
from recsys.encoder.config import EncoderConfig
from recsys.encoder.trainer_config import TrainerConfig
from tests.encoder.tiny import toy

MEASURED = Measured(tokens_per_s=1000.0, pair_step_s=0.01, table_tokens_per_s=1e6, cores=2)
WORK = Work(texts=20_000, tokens=600_000, vocabulary=30_000, pair_steps=100, depth=6, dims=384)
CONFIG, TRAINER = EncoderConfig(preset="auto", top_layers=2, layers=3), TrainerConfig()


def test_the_estimate_by_hand() -> None:
    seconds = estimate(MEASURED, WORK, CONFIG, TRAINER)
    encode, pairs = 600.0, 100 * 0.01
    assert list(seconds) == list(ORDER)
    assert seconds["adapter"] == pytest.approx(encode + 4 * pairs + 15)
    assert seconds["top"] == pytest.approx(encode + 3 * pairs + 15 + (1 / 3) * (3 * encode + encode))
    assert seconds["full"] == pytest.approx(encode + 3 * pairs + 15 + 4 * encode)
    # half the catalogue teaches: two passes forwards and backwards of half the layers, then all of it
    choosing = (6 + 5 + 4) * 48 / 20_000
    small = 300 * (1 + 2 * 3 * 0.5) + encode * (choosing + 0.5)
    assert seconds["small"] == pytest.approx(small + 4 * pairs + 15)
    assert seconds["static"] == pytest.approx(
        300 + 2 * 90 + 3 * 300_000 / 1e6 * auto.static.PASSES + 4 * pairs
    )
    whole = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, distil_texts=20_000), TRAINER)
    assert whole["static"] == pytest.approx(600 + 90 + 2 * 600_000 / 1e6 * auto.static.PASSES + 4 * pairs)


def test_what_cannot_be_done_never_fits() -> None:
    seconds = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, cache_gib=0.5), TRAINER)
    assert math.isinf(seconds["top"]) and math.isfinite(seconds["full"])
    two_layers = dataclasses.replace(WORK, depth=2)
    assert math.isinf(estimate(MEASURED, two_layers, CONFIG, TRAINER)["small"])


def test_the_best_that_fits_is_chosen() -> None:
    seconds = {"full": 50.0, "top": 20.0, "adapter": 10.0, "small": 12.0, "static": 3.0}
    assert [choose(seconds, budget) for budget in (50, 49, 19, 9, 2)] == [
        "full",
        "top",
        "adapter",
        "static",
        "static",
    ]


def test_a_larger_catalogue_never_gets_a_better_preset() -> None:
    ranks = []
    for n in (1, 3, 10, 30, 100, 300):
        work = dataclasses.replace(WORK, texts=10_000 * n, tokens=300_000 * n, pair_steps=100 * n)
        seconds = estimate(MEASURED, work, dataclasses.replace(CONFIG, cache_gib=1e4), TRAINER)
        ranks.append(ORDER.index(choose(seconds, 3600.0)))
    assert ranks == sorted(ranks) and ranks[0] == 0 and ORDER[ranks[-1]] == "static"


@pytest.mark.parametrize(("budget", "preset"), [(60.0, "full"), (1e-6, "static")])
def test_a_training_records_and_says_what_it_chose(
    budget: float,
    preset: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "MEASURE_S", 0.05)
    monkeypatch.setattr(auto, "WARM_S", 0.01)
    monkeypatch.setattr(auto, "choose", lambda seconds, s: preset if s == budget * 60 else "top")
    world = toy()
    config = world.config(preset="auto", budget_minutes=budget)
    manifest = world.train(tmp_path / "auto", config, world.trainer(max_epochs=1)).manifest
    assert manifest["preset"] == manifest["config"]["preset"] == preset
    said = manifest["auto"]
    again = auto.estimate(
        Measured(**said["measured"]), Work(**said["work"]), config, world.trainer(max_epochs=1)
    )
    assert math.isinf(again.pop("small")), "the toy encoder has two layers"
    assert said["estimated_s"] == again
    assert said["took_s"] == manifest["seconds"]["all"]
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].startswith("encoder=auto: estimated minutes full ") and f"; {preset} of at most" in lines[0]
    )
    assert lines[-1].startswith(f"encoder=auto: {preset} took ")
    # what was measured before leaves no trace: the same as asked for by name
    world.train(tmp_path / "named", world.config(preset=preset), world.trainer(max_epochs=1))
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("auto", "named")]
    assert weights[0] == weights[1]
