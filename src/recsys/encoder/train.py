"""The one entry: texts, pairs and a log in; a folder with the exported towers out."""

import contextlib
import datetime
import logging
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.errors import DataError
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.core.seeding import seed_everything
from recsys.encoder import checkpoint, export
from recsys.encoder.adapt.first_steps import first_steps
from recsys.encoder.batch import histories, select, select_lists
from recsys.encoder.config import EncoderConfig, TrainerConfig, schedule
from recsys.encoder.datamodule import ListData, PairData, PairModule
from recsys.encoder.holdout import Holdout, ListHoldout, split_by_time
from recsys.encoder.lightning import pl
from recsys.encoder.module import EncoderModule
from recsys.encoder.precision import bf16_on
from recsys.encoder.pretrained import file_sha256, resolve
from recsys.encoder.text_tower import TextTower, encode_lower
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from recsys.encoder.user_tower import HEADS

Array = NDArray[Any]
LOG = logging.getLogger(__name__)


class EncoderResult(NamedTuple):
    """What training gives back."""

    history: list[dict[str, Any]]  # one row an epoch, first steps and start first: losses, metrics, seconds
    manifest: dict[str, Any]  # as written to manifest.json


@contextlib.contextmanager
def _torch_settings(trainer: TrainerConfig) -> Iterator[None]:
    """Threads and seed for a training; the threads are given back."""
    threads = torch.get_num_threads()
    if trainer.threads:
        torch.set_num_threads(trainer.threads)
    seed_everything(trainer.seed)
    torch.manual_seed(trainer.seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check(texts: Sequence[str], pairs: PairArrays, known: Array) -> None:
    if not len(pairs.item):
        raise DataError(
            "training pairs",
            expected="at least one interaction in the window fit",
            found="none",
            do="Move the start of the window rank, or check the event types (data.event_types).",
        )
    if not any(text.strip() for text in texts):
        raise DataError(
            "the items' texts",
            expected="titles or descriptions",
            found="empty texts only",
            do="Map the text columns (data.columns), or name the text columns (data.text.columns).",
        )
    if not len(known):
        raise DataError(
            "known items", expected="at least one", found="none", do="Give the items of the window fit."
        )


def _device(accelerator: str) -> torch.device:
    gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")


def _fit(module: EncoderModule, data: PairModule, trainer: TrainerConfig, folder: Path, epochs: int) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    limit = datetime.timedelta(minutes=trainer.limit_minutes) if trainer.limit_minutes else None
    with warnings.catch_warnings():
        # Lightning advises more loader processes; batches here are built in milliseconds
        warnings.filterwarnings("ignore", module=r"pytorch_lightning.*")
        warnings.filterwarnings("ignore", module=r"lightning_fabric.*")
        warnings.filterwarnings("ignore", message=r".*(treespec|TreeSpec).*")
        lightning = pl.Trainer(
            max_epochs=epochs,
            max_time=limit,
            accelerator="cpu" if _device(trainer.accelerator).type == "cpu" else "gpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=sys.stderr.isatty(),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            gradient_clip_val=1.0,
            default_root_dir=str(folder),
            barebones=False,
        )
        lightning.fit(module, datamodule=data)


def train_encoder(
    texts: Sequence[str],
    pairs: PairArrays,
    log: EventLog,
    config: EncoderConfig,
    trainer: TrainerConfig,
    out_folder: Path,
    *,
    clock: bool,
    known_items: Array,
    lists: ListArrays | None = None,
    start: Path | None = None,
    window: Mapping[str, Any] | None = None,
) -> EncoderResult:
    """Train item and user towers and write them, exported, into a folder.

    Parameters
    ----------
    texts : sequence of str, shape (items,)
        The text of each item code.
    pairs : PairArrays
        What to learn, all of it from the past that the model may know.
    log : EventLog
        Holds the histories that the pairs' heads point into.
    config : EncoderConfig
    trainer : TrainerConfig
    out_folder : Path
        Gets ``encoder.onnx``, ``tokenizer.json``, ``user_tower.npz``, ``mean.npy`` (what vectors are
        centred on), ``weights.safetensors`` and ``manifest.json``; with the engine
        "vectors" ``raw.npy`` and ``tuned.npy`` instead of the graph.
    clock : bool
        Whether the log's times are real; without a clock the gaps between events are not read.
    known_items : int array
        Codes of the items that exist before the end of the window: negatives, and the mean that all
        vectors are centred on.
    lists : ListArrays, optional
        The lists that were shown, where ``config.lists`` wants them.
    start : Path, optional
        The folder of an encoder of the same configuration to go on from.
    window : mapping, optional
        What the encoder saw, for the manifest.

    Returns
    -------
    EncoderResult

    Raises
    ------
    DataError
        No pairs, no texts, or a loss that is no number.
    ConfigError, MissingExtraError, BundleError
        The encoder cannot be found, split, cached, exported or resumed.
    """
    known = np.unique(np.asarray(known_items, np.int64))
    _check(texts, pairs, known)
    began = time.monotonic()
    folder = resolve(config.name_or_path)
    out_folder.mkdir(parents=True, exist_ok=True)
    kinds = schedule(config, trainer)
    with _torch_settings(trainer):
        tokenizer = load_tokenizer(folder)
        tokens = tokenize(tokenizer, texts, config.max_tokens)
        text = TextTower(folder, config)
        device = _device(trainer.accelerator)
        text.to(device).bf16 = bf16_on(trainer.precision, device)
        loaded, adapted = time.monotonic(), list[dict[str, Any]]()
        if start is not None:
            checkpoint.load_adapted(text, start)
        else:
            adapted = first_steps(text, folder, tokenizer, [texts[i] for i in known], config, trainer.seed)
        adapted_s = time.monotonic() - loaded
        raw, cache = encode_lower(text, tokens, config, device)
        encoded_s = time.monotonic() - began - adapted_s

        fit, kept = split_by_time(pairs, trainer.holdout)
        learn, held = select(pairs, fit), select(pairs, kept)
        past = histories(log, learn.head, config.history, clock)
        holdout = Holdout(
            held, histories(log, held.head, config.read_history, clock), known, trainer.holdout_max
        )
        shown, held_lists = _lists(lists, log, config, trainer, clock)
        data = PairModule(PairData(learn, past, known, config), tokens.lengths(), kinds, trainer, shown)
        module = EncoderModule(text, config, trainer, kinds, data.total_steps())
        module.prepare(raw.clone(), cache, known, holdout, held_lists)
        if start is not None:
            checkpoint.load_weights(module, start)
            module.to(device).refresh()
        _fit(module, data, trainer, out_folder, len(kinds))
        module.restore_best()
        module.cpu()
        trained_s = time.monotonic() - began - adapted_s - encoded_s
        engine, check = _write(module, raw, tokens, config, out_folder)
    tokenizer.save(str(out_folder / "tokenizer.json"))
    best = max(module.rows, key=lambda row: row.get(module.monitor, -1.0))
    manifest = checkpoint.write_manifest(
        out_folder,
        {
            "kind": "encoder",
            "engine": engine,
            "model": config.name_or_path,
            "model_sha256": _weights_hash(folder),
            "preset": config.preset,
            "dims": text.dims,
            "heads": list(HEADS),
            "max_tokens": config.max_tokens,
            "pad_id": text.pad_id,
            "clock": clock,
            "window": dict(window or {}),
            "pairs": {"learned": len(fit), "holdout": len(holdout)},
            "lists": {"learned": len(shown or ()), "holdout": len(held_lists or ())},
            "known_items": len(known),
            "metrics": {k: v for k, v in best.items() if k.startswith("holdout/")},
            "best_epoch": best["epoch"],
            "export_check": check,
            "adapted": text.adapted,
            "seconds": {
                "adapt": adapted_s,
                "encode": encoded_s,
                "train": trained_s,
                "all": time.monotonic() - began,
            },
            "config": asdict(config),
            "trainer": asdict(trainer),
        },
    )
    return EncoderResult(adapted + module.rows, manifest)


def _lists(
    lists: ListArrays | None, log: EventLog, config: EncoderConfig, trainer: TrainerConfig, clock: bool
) -> tuple[ListData | None, ListHoldout | None]:
    """The lists to learn from and those kept out, where lists teach."""
    if config.lists == "none":
        return None, None
    if lists is None or not len(lists.user):
        raise DataError(
            "encoder.lists",
            expected="logged lists in the window fit, each with something taken and something left",
            found="none",
            do="Set encoder.lists=none, log impressions with their request_id, or move split.rank.",
        )
    learn, held = (select_lists(lists, index) for index in split_by_time(lists, trainer.holdout))
    past = histories(log, learn.head, config.history, clock)
    before = histories(log, held.head, config.read_history, clock)
    return ListData(learn, past), ListHoldout(ListData(held, before), trainer.holdout_max)


def _weights_hash(folder: Path) -> str | None:
    """The hash of the pretrained weights; none where they lie in several files."""
    path = folder / "model.safetensors"
    return file_sha256(path) if path.is_file() else None


def _write(
    module: EncoderModule, raw: Tensor, tokens: Tokens, config: EncoderConfig, folder: Path
) -> tuple[str, dict[str, float]]:
    """Export the towers; the engine of the text tower, and how near the export is to torch."""
    checkpoint.save_weights(module, folder)
    export.save_user_tower(module.user, folder / "user_tower.npz", config.read_history)
    np.save(folder / "mean.npy", module.head.mean.numpy(), allow_pickle=False)
    with torch.no_grad():
        np.save(folder / "raw.npy", module.head.raw(raw).numpy(), allow_pickle=False)
        np.save(folder / "tuned.npy", module.head(module.bank).numpy(), allow_pickle=False)
    if config.export == "onnx":
        try:
            path = folder / "encoder.onnx"
            return "onnx", export.export_onnx(module, tokens, path, config.max_tokens)
        except DataError:
            raise
        except Exception as error:  # the exporter raises whatever the traced model makes it raise
            (folder / "encoder.onnx").unlink(missing_ok=True)
            LOG.warning(
                "The encoder does not export (%s): the bundle holds vectors only, and an item that is not "
                "in the catalogue will read as without text.",
                str(error).splitlines()[0] if str(error) else type(error).__name__,
            )
    return "vectors", {}
