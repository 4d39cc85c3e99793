"""The encoder's benchmark: every part on toy input, and the arithmetic of its figures."""

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.data.prepare import load as load_prepared
from recsys.encoder.config import EncoderConfig
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from recsys.pipelines import (
    bench_encoder,
    bench_encoder_gpu,
    bench_encoder_inputs,
    bench_encoder_peer,
    bench_encoder_quality,
    bench_encoder_reembed,
    bench_encoder_runs,
    bench_encoder_speed,
    bench_encoder_train,
)
from recsys.pipelines.bench import Figure, apart, quotient, rounds
from recsys.pipelines.bench_encoder_runs import Arm
from recsys.pipelines.bench_told import Told
from recsys.pipelines.request_scores import Scores
from tests.encoder.tiny import toy
from tests.pipelines.toy_shop import toy_run

PEER_THERE = all(importlib.util.find_spec(name) for name in ("datasets", "accelerate"))
# sentence-transformers and what it stands on warn of each other
OTHERS_WARN = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A benchmark sets the threads of its own process; here that is everybody's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_quotient_pairs_the_repetitions_that_stood_side_by_side() -> None:
    assert quotient([4.0, 9.0, 2.0], [2.0, 3.0, 4.0]) == (2.0, 0.5, 3.0)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        quotient([1.0, 2.0], [1.0])


def test_rounds_keep_each_repetition() -> None:
    calls: list[str] = []
    took = rounds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b", "a", "b"]
    assert {name: len(seconds) for name, seconds in took.items()} == {"a": 2, "b": 2}


def test_apart_is_another_process() -> None:
    assert apart(os.getpid) != os.getpid()
    assert apart(int, "11", base=2) == 3


# ---- what is asked for
def test_parts_and_single_figures_can_be_asked_for() -> None:
    everything = bench_encoder.chosen(None)
    assert list(everything) == [*bench_encoder.PARTS, "quality"]
    names = [name for part in everything.values() for name in part]
    assert len(names) == len(set(names))
    assert bench_encoder.chosen(["encode"]) == {"encode": ("encode_vs_st", "encode_vs_gemm")}
    assert bench_encoder.chosen(["small_keep", "encode_vs_st"]) == {
        "encode": ("encode_vs_st",),
        "quality": ("small_keep",),
    }


def test_the_command_writes_what_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RECSYS_DATA", raising=False)
    monkeypatch.setattr(bench_encoder, "apart", lambda function, *given: function(*given))
    out = tmp_path / "encoder.json"
    bench_encoder.main(["--only", "train_vs_st", "adapter_vs_raw_office", "--out", str(out)])
    assert json.loads(out.read_text())["figures"] == []
    said = capsys.readouterr().out
    assert "train_vs_st: left out, the data set mind_small_7k is not there; set RECSYS_DATA" in said
    assert "adapter_vs_raw_office: left out, the data set amazon_office is not there" in said


def test_every_part_on_real_data_says_that_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path))
    real = [part for name, part in bench_encoder.PARTS.items() if name not in ("resume", "cold")]
    for part in real:
        assert part.figures(False) == []
        said = capsys.readouterr().out
        assert all(name in said for name in part.names)


# ---- speed
@OTHERS_WARN
def test_encoding_is_compared_on_toy_texts() -> None:
    st, gemm = bench_encoder_speed.encode_figures(True)
    assert (st.name, st.goal, st.sense) == ("encode_vs_st", 1.0, "min")
    assert (gemm.name, gemm.goal, gemm.sense) == ("encode_vs_gemm", 0.9, "min")
    assert "least cosine 1.000000" in st.note


def test_the_probe_counts_the_products_of_every_layer() -> None:
    world = toy()
    config = EncoderConfig(str(world.encoder), "adapter", max_tokens=16, encode_tokens=10**6)
    tower = TextTower(world.encoder, config)
    texts = world.texts[:6]
    tokens = tokenize(load_tokenizer(world.encoder), texts, 16)
    width = int(tokens.lengths().max())
    # two layers of 32 dims: query, key, value and output, and twice 32 x 64; attention's two products
    linear, attention = 2 * (4 * 32 * 32 + 2 * 32 * 64), 2 * 2 * width * 32
    probe = bench_encoder_speed.Products(tower, tokens, config)
    assert probe.flops == 2 * 6 * width * (linear + attention)
    probe()


# ---- training
def toy_world() -> bench_encoder_inputs.World:
    world = toy()
    return bench_encoder_inputs.World(world.texts, world.log, world.pairs, world.items, True)


def test_every_text_of_a_step_is_listed_anew_and_the_same_items_stand_there() -> None:
    world = toy_world()
    steps = bench_encoder_train.some_steps(world, 12, 5)
    config = toy().config(preset="top", history=5, history_vectors="fresh")
    (batch,) = steps.batches(config, 12)
    plain = bench_encoder_train.every_text(batch)
    events = int(batch.real.sum())
    assert len(plain.items) == 12 + events
    assert len(batch.items) == len(set(batch.items.tolist())) < len(plain.items)
    torch.testing.assert_close(plain.items[plain.target], batch.items[batch.target])
    torch.testing.assert_close(plain.items[plain.history][batch.real], batch.items[batch.history][batch.real])
    assert len(set(plain.history[batch.real].tolist())) == events


def test_steps_are_coded_anew_over_their_own_items() -> None:
    world = toy_world()
    steps = bench_encoder_train.some_steps(world, 3, 2)
    drawn = np.random.default_rng(0).permutation(len(world.pairs.item))[:3]
    assert [steps.texts[i] for i in steps.pairs.item] == [world.texts[i] for i in world.pairs.item[drawn]]
    touched = {*steps.pairs.item.tolist(), *steps.past.items[steps.past.items >= 0].tolist()}
    assert touched == set(range(len(steps.texts)))


def test_the_naive_loop_has_the_loss_of_ours() -> None:
    figures = bench_encoder_train.naive_figures(True)  # raises where the first losses differ
    assert [(f.name, f.goal) for f in figures] == [
        ("train_vs_naive_mind", 10.0),
        ("train_vs_naive_office", 4.0),
    ]


def test_other_losses_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bench_encoder_train, "every_text", lambda batch: batch._replace(target=batch.target.flip(0))
    )
    with pytest.raises(AssertionError, match="the losses of the first step differ"):
        bench_encoder_train.naive_figures(True)


@OTHERS_WARN
@pytest.mark.skipif(not PEER_THERE, reason="sentence-transformers' trainer needs datasets and accelerate")
def test_the_peer_trains_on_the_same_pairs() -> None:
    (figure,) = bench_encoder_peer.peer_figures(True)
    assert (figure.name, figure.goal) == ("train_vs_st", 3.0)
    assert "48 pairs in steps of 12" in figure.note


def test_without_its_libraries_the_peer_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_encoder_peer.importlib.util, "find_spec", lambda name: None)
    assert bench_encoder_peer.peer_figures(True) == []
    assert "its trainer needs datasets and accelerate" in capsys.readouterr().out


# ---- on a GPU
@OTHERS_WARN
def test_the_figures_of_a_gpu_are_measured_on_any_device(tmp_path: Path) -> None:
    folder = bench_encoder_inputs.tiny_encoder(toy().texts, tmp_path)
    st, share, step = bench_encoder_gpu.figures_on(
        torch.device("cpu"), toy().texts, toy_world(), folder, bench_encoder_gpu.QUICK
    )
    assert (st.name, st.goal, st.sense) == ("gpu_encode_vs_st", 2.0, "min")
    assert (share.name, share.goal, share.sense) == ("gpu_matmul_share", 0.35, "min")
    assert (step.name, step.goal, step.sense) == ("gpu_step_parts", None, "none")
    assert all(f"{part} " in step.note for part in bench_encoder_gpu.PARTS)
    assert all(figure.note.endswith("; CPU") for figure in (st, share, step))


def test_without_a_gpu_its_figures_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_encoder_gpu.gpu_figures(True) == []
    said = "gpu_encode_vs_st, gpu_matmul_share, gpu_step_parts: left out, torch sees no CUDA device"
    assert said in capsys.readouterr().out


def test_operations_are_those_of_real_tokens() -> None:
    world = toy()
    tower = TextTower(world.encoder, EncoderConfig(str(world.encoder), "adapter", max_tokens=16))
    tokens = tokenize(load_tokenizer(world.encoder), ["red", "blue red word1"], 16)
    assert tokens.lengths().tolist() == [3, 5]
    linear, attention = 2 * (4 * 32 * 32 + 2 * 32 * 64), 2 * 2 * (3 * 3 + 5 * 5) * 32
    assert bench_encoder_gpu.flops_of(tower, tokens) == 2 * 8 * linear + 2 * attention


# ---- embedding again
def test_an_edit_changes_its_share_of_the_texts(tmp_path: Path) -> None:
    before = load_prepared(toy_run().stage("prepare")).items["text"].to_list()
    new = bench_encoder_reembed.edited(toy_run().stage("prepare"), tmp_path, 0.05)
    after = load_prepared(tmp_path).items["text"].to_list()
    changed = [b for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == round(0.05 * len(before)) == len(new)
    assert set(changed) == new


def test_embedding_again_encodes_what_was_edited_and_nothing_else() -> None:
    one, none = bench_encoder_reembed.reembed_figures(True)  # raises where other texts are encoded
    assert (one.name, one.goal, one.sense) == ("reembed_1pct_share", 0.03, "max")
    assert (none.name, none.goal, none.sense) == ("reembed_0_share", 0.02, "max")


# ---- quality
def scores(**values: list[float]) -> Scores:
    return Scores(np.array([0, 0, 1, 2]), {(m, "ndcg"): np.array(v) for m, v in values.items()})


def test_a_ratio_and_a_gain_are_of_the_requests_that_both_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nan = float("nan")
    given = scores(encoder=[0.6, 0.3, 0.6, 0.9], text_raw=[0.4, 0.2, 0.2, nan])
    monkeypatch.setattr(bench_encoder_quality, "mean_scores", lambda data, arm, told: given)
    told, raw = Told(False, tmp_path, (3,)), Arm(model="text_raw")
    one = bench_encoder_quality.Compared("shop", Arm(("encoder=adapter",)), raw, "raw")
    ratio = bench_encoder_quality.compare("x", one, told)
    assert ratio.value == pytest.approx(1.5 / 0.8)
    assert ratio.low is not None and ratio.high is not None
    assert ratio.low < ratio.value < ratio.high
    assert ratio.note.endswith("encoder=adapter, shop, 3 requests of the window valid, seed 3")
    gain = bench_encoder_quality.Compared("shop", Arm(), raw, "raw", 0.1, by="gain")
    assert bench_encoder_quality.compare("x", gain, told).value == pytest.approx(0.5 - 0.8 / 3)


def test_values_are_means_over_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, ...]] = []

    def scores_of(data: str, overrides: tuple[str, ...], told: Told) -> Scores:
        asked.append(overrides)
        return scores(encoder=[float(overrides[-1].removeprefix("seed="))] * 4)

    monkeypatch.setattr(bench_encoder_runs, "scores_of", scores_of)
    found = bench_encoder_runs.mean_scores("shop", Arm(("encoder=top",)), Told(False, tmp_path, (1, 4)))
    assert asked == [("encoder=top", "seed=1"), ("encoder=top", "seed=4")]
    np.testing.assert_array_equal(found.values["encoder", "ndcg"], [2.5] * 4)


def test_what_a_small_encoder_keeps_is_the_least_of_two_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {"amazon_office": 0.99, "mind_small_7k": 0.95}

    def compare(name: str, one: bench_encoder_quality.Compared, told: Told) -> Figure:
        assert (one.over.overrides, one.under.overrides) == (("encoder=small",), ("encoder=adapter",))
        return Figure(name, shares[one.data], "times", note=f"on {one.data}")

    monkeypatch.setattr(bench_encoder_quality, "compare", compare)
    (figure,) = bench_encoder_quality.quality_figures(("small_keep",), Told(True, tmp_path))
    assert figure.value == 0.95
    assert figure.note == "on mind_small_7k; 0.990 on the other set: on amazon_office"


def test_the_test_window_is_read_for_mind_alone_and_when_asked_for(tmp_path: Path) -> None:
    told = Told(True, tmp_path, read_test=True)
    assert bench_encoder_runs.window_of("mind_small_7k", told) == "test"
    assert bench_encoder_runs.window_of("amazon_office", told) == "valid"
    assert bench_encoder_runs.window_of("mind_small_7k", Told(True, tmp_path)) == "valid"


def test_quality_trains_once_and_builds_no_reranker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("tuned_vs_frozen_office", "adapter_vs_raw_shop", "encoder_mind_auc_gain")
    told = Told(True, tmp_path / "work", (0,))
    figures = bench_encoder_quality.quality_figures(names, told)
    assert [f.name for f in figures] == list(names)
    assert all(f.low is not None and f.high is not None and f.low <= f.value <= f.high for f in figures)
    stages = {path.name for path in told.work.iterdir() if not path.name.startswith(".")}
    assert stages <= {"prepare", "train-encoder", "embed", "catalogue-cache", "tiny"}
    capsys.readouterr()
    bench_encoder_runs.scores_of.cache_clear()
    again = bench_encoder_quality.quality_figures(names, told)
    assert again == figures
    said = capsys.readouterr().out.splitlines()
    assert said and all(line.endswith("unchanged, skipped") for line in said)
