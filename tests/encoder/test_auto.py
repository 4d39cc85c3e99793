"""What fits the time is chosen; the estimate is a pure function of a measurement."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from recsys.encoder import auto
from recsys.encoder.catalogue_cache import encode_once
from recsys.encoder.config import EncoderConfig
from recsys.encoder.estimate import ORDER, ROUND_S, Measured, Work, choose, estimate
from recsys.encoder.export_int8 import COSTED_ITEMS
from recsys.encoder.teaching import make_teaching
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from recsys.encoder.trainer_config import TrainerConfig
from tests.encoder.tiny import shown_lists, toy

MEASURED = Measured(tokens_per_s=1000.0, pair_step_s=0.01, list_step_s=0.2, table_tokens_per_s=1e6, cores=2)
WORK = Work(
    texts=20_000,
    tokens=600_000,
    vocabulary=30_000,
    pair_steps=100,
    list_steps=50,
    slices=1,
    depth=6,
    dims=384,
    cache_bytes=600_000 * 384 * 4,
)
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


def test_epochs_over_lists_and_the_export_count() -> None:
    plain = estimate(MEASURED, WORK, CONFIG, TRAINER)
    lists = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, lists="after", list_epochs=3), TRAINER)
    assert all(lists[preset] - plain[preset] == pytest.approx(3 * 50 * 0.2) for preset in ORDER)
    rounded = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, export="onnx_int8"), TRAINER)
    ranked = 600.0 * COSTED_ITEMS / 20_000
    extra = {preset: rounded[preset] - plain[preset] for preset in ORDER}
    assert extra.pop("static") == 0
    assert all(one == pytest.approx(ROUND_S + ranked) for one in extra.values())
    vectors = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, export="vectors"), TRAINER)
    assert plain["top"] - vectors["top"] == pytest.approx(15) and plain["static"] == vectors["static"]


def test_slices_encode_their_texts_and_fit_their_tables_each() -> None:
    plain = estimate(MEASURED, WORK, CONFIG, TRAINER)
    three = estimate(MEASURED, dataclasses.replace(WORK, slices=3), CONFIG, TRAINER)
    assert three["adapter"] == plain["adapter"], "its steps are those of all slices already"
    assert three["full"] - plain["full"] == pytest.approx(2 * 4 * 600.0)
    tables = 2 * 90 + 2 * 2 * 300_000 / 1e6 * auto.static.PASSES
    assert three["static"] - plain["static"] == pytest.approx(tables)


def test_lists_alone_leave_the_presets_whose_layers_would_not_learn() -> None:
    seconds = estimate(MEASURED, WORK, dataclasses.replace(CONFIG, lists="alone"), TRAINER)
    assert math.isinf(seconds["full"]) and math.isinf(seconds["top"])
    assert seconds["adapter"] == pytest.approx(600 + 4 * 50 * 0.2 + 15)


def test_steps_are_counted_over_all_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "MEASURE_S", 0.02)
    monkeypatch.setattr(auto, "WARM_S", 0.0)
    world = toy()
    config, trainer = world.config(preset="auto", lists="after", list_batch=100), world.trainer(holdout=0.0)
    tokens = tokenize(load_tokenizer(world.encoder), world.texts, 16)
    lists = shown_lists(world)  # 300 of them
    one = make_teaching(world.pairs, lists, world.log, world.items, config, trainer, True)
    measured, work = auto.measure(world.encoder, tokens, [one, one], config, trainer, torch.device("cpu"))
    assert (work.slices, work.pair_steps, work.list_steps) == (2, 2 * 13, 2 * 3)  # 800 pairs by 64
    assert measured.list_step_s > 0
    plain = one._replace(lists=None)
    measured, work = auto.measure(world.encoder, tokens, [plain], config, trainer, torch.device("cpu"))
    assert (work.slices, work.list_steps, measured.list_step_s) == (1, 0, 0.0)


def test_what_cannot_be_done_never_fits() -> None:
    for size, fits in ((2**29, True), (2**29 + 1, False)):
        work = dataclasses.replace(WORK, cache_bytes=size)
        seconds = estimate(MEASURED, work, dataclasses.replace(CONFIG, cache_gib=0.5), TRAINER)
        assert math.isfinite(seconds["top"]) is fits and math.isfinite(seconds["full"])
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


@pytest.mark.parametrize(("precision", "bytes_"), [("fp32", 4), ("bf16", 2)])
def test_the_cache_of_top_is_counted_as_it_will_be(
    precision: str, bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "MEASURE_S", 0.02)
    monkeypatch.setattr(auto, "WARM_S", 0.0)
    world = toy()
    config, trainer = world.config(preset="auto"), world.trainer(holdout=0.0, precision=precision)
    tokens = tokenize(load_tokenizer(world.encoder), [*world.texts, *world.texts[:9]], 16)
    teaching = make_teaching(world.pairs, None, world.log, world.items, config, trainer, True)
    _, work = auto.measure(world.encoder, tokens, [teaching], config, trainer, torch.device("cpu"))
    once = {bytes(tokens.ids[a:b]): b - a for a, b in pairwise(tokens.offsets.tolist())}
    assert work.cache_bytes == sum(once.values()) * work.dims * bytes_ < work.tokens * work.dims * bytes_
    tower = TextTower(world.encoder, world.config(preset="top"))
    tower.bf16 = precision == "bf16"
    found = encode_once(tower, tokens, world.config(preset="top"), torch.device("cpu"), None)[1].values
    assert found.numel() * found.element_size() == work.cache_bytes


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
    again = estimate(Measured(**said["measured"]), Work(**said["work"]), config, world.trainer(max_epochs=1))
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
