"""A figure of training against sentence-transformers' own trainer, on the same pairs of texts."""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from recsys.encoder.trainer_config import TrainerConfig
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_encoder_inputs import (
    MIND,
    THREADS,
    World,
    encoder_folder,
    left_out,
    load_world,
    no_data,
    overrides_of,
    threads,
)
from recsys.pipelines.bench_encoder_train import CPU, LAYERS, Size, Steps, make_side, settings, some_steps

PEER = "train_vs_st"
PEER_FULL, PEER_QUICK, PEER_STEPS = Size(64, 3), Size(12, 1, quick=True), 4


def peer_figures(quick: bool) -> list[Figure]:
    """Pairs of an anchor and a positive text a second, against sentence-transformers' own trainer."""
    overrides = overrides_of(MIND, quick)
    if overrides is None:
        return left_out([PEER], no_data(MIND))
    missing = [name for name in ("datasets", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        return left_out([PEER], f"its trainer needs {' and '.join(missing)}; install with pip")
    return [against_peer(load_world(overrides), PEER_QUICK if quick else PEER_FULL)]


def against_peer(world: World, size: Size) -> Figure:
    """Ours with a history of one event, which is the anchor; the peer on the same pairs of texts."""
    torch.set_num_threads(threads(size.quick))
    with tempfile.TemporaryDirectory() as root:
        folder = encoder_folder(size.quick, world.texts, Path(root))
        steps = some_steps(world, size.pairs * PEER_STEPS, 1)
        config = settings(folder, 1)
        tokens = tokenize(load_tokenizer(folder), steps.texts, config.max_tokens)
        tower = TextTower(folder, config)
        start = time.perf_counter()
        raw, cache = encode_lower(tower, tokens, config, CPU)
        lower_s = (time.perf_counter() - start) / len(raw)
        ours = make_side(tower, config, raw, cache)
        batches = list(steps.batches(config, size.pairs))
        theirs = peer_trainer(folder, steps, config.max_tokens, size.pairs, Path(root))

        def train() -> None:
            for batch in batches:
                ours.step(batch)

        rounds({"ours": train, "theirs": theirs}, 1)  # what is made on first use
        took = rounds({"ours": train, "theirs": theirs}, size.repeats)
    ratio, pairs = quotient(took["theirs"], took["ours"]), len(steps.pairs.item)
    speed = {one: pairs / spread(seconds).middle for one, seconds in took.items()}
    epoch_s, once_s = len(world.pairs.item) / speed["ours"], lower_s * len(world.texts)
    note = (
        f"{speed['ours']:.0f} against {speed['theirs']:.0f} pairs/s: one event and the next, {pairs} pairs "
        f"in steps of {size.pairs}, softmax over the step's targets, the last {LAYERS} layers trained; the "
        f"lower layers, encoded once, would take {once_s / (once_s + epoch_s):.0%} of a run of one such "
        f"epoch; {THREADS} threads"
    )
    against = "SentenceTransformerTrainer with MultipleNegativesRankingLoss"
    return Figure(PEER, ratio.middle, "times", against, 3.0, "min", *ratio[1:], note)


def peer_trainer(folder: Path, steps: Steps, max_tokens: int, size: int, root: Path) -> Callable[[], object]:
    """One epoch of sentence-transformers over the pairs, its other layers frozen."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = max_tokens
    model.requires_grad_(False)
    model[0].auto_model.encoder.layer[-LAYERS:].requires_grad_(True)
    pairs = {
        "anchor": [steps.texts[i] for i in steps.past.items[:, 0]],
        "positive": [steps.texts[i] for i in steps.pairs.item],
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(root / "peer"),
            num_train_epochs=1,
            per_device_train_batch_size=size,
            learning_rate=TrainerConfig().text_lr,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_dict(pairs),
        loss=MultipleNegativesRankingLoss(model),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer.train
