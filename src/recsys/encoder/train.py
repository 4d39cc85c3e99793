"""The one entry: texts, pairs and a log in; a folder with the exported towers out."""

import datetime
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.errors import DataError
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.core.progress import counting
from recsys.encoder import checkpoint, export
from recsys.encoder.bar import StepBar
from recsys.encoder.batch import histories, select, select_lists
from recsys.encoder.card import describe
from recsys.encoder.catalogue import Catalogue, device_of, encode_catalogue, torch_settings
from recsys.encoder.config import EncoderConfig, TrainerConfig, schedule
from recsys.encoder.datamodule import ListData, PairData, PairModule
from recsys.encoder.export_int8 import export_int8
from recsys.encoder.fingerprint import hash_data
from recsys.encoder.holdout import Holdout, ListHoldout, split_by_time
from recsys.encoder.id_tower import make_id_tower
from recsys.encoder.lightning import pl
from recsys.encoder.module import EncoderModule
from recsys.encoder.pretrained import weights_sha256
from recsys.encoder.resume import Keeper, training_key
from recsys.encoder.tokens import Tokens
from recsys.encoder.user_tower import HEADS

Array = NDArray[Any]
LOG = logging.getLogger(__name__)


class EncoderResult(NamedTuple):
    """What training gives back."""

    history: list[dict[str, Any]]  # one row an epoch, first steps and start first: losses, metrics, seconds
    manifest: dict[str, Any]  # as written to manifest.json


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


def _fit(
    module: EncoderModule,
    data: PairModule,
    trainer: TrainerConfig,
    folder: Path,
    epochs: int,
    keeper: Keeper | None,
) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    epoch, earlier = (keeper.take_up(module, data), keeper.earlier) if keeper else (0, 0.0)
    left = max(60 * trainer.limit_minutes - earlier, 1e-3)  # a step closes the epoch that ran out of time
    limit = datetime.timedelta(seconds=left) if trainer.limit_minutes else None
    bar = counting("train the encoder", module.total_steps, "samples", data.steps_before())
    with warnings.catch_warnings(), bar as advance:
        # Lightning advises more loader processes; batches here are built in milliseconds
        warnings.filterwarnings("ignore", module=r"pytorch_lightning.*")
        warnings.filterwarnings("ignore", module=r"lightning_fabric.*")
        warnings.filterwarnings("ignore", message=r".*(treespec|TreeSpec).*")
        lightning = pl.Trainer(
            max_epochs=epochs,
            max_time=limit,
            accelerator="cpu" if device_of(trainer.accelerator).type == "cpu" else "gpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            gradient_clip_val=1.0,
            default_root_dir=str(folder),
            barebones=False,
            callbacks=[StepBar(advance), *([keeper] if keeper else [])],
        )
        progress: Any = lightning.fit_loop.epoch_progress.current
        progress.processed = progress.completed = epoch
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
    ids: Mapping[str, Sequence[object]] | None = None,
    resume: Path | None = None,
    cache_folder: Path | None = None,
    catalogue: Catalogue | None = None,
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
        Gets ``encoder.onnx`` (not with the engine "vectors"), ``tokenizer.json``, ``user_tower.npz``,
        ``mean.npy`` (what vectors are centred on), ``raw.npy`` and ``tuned.npy`` (of the catalogue),
        ``weights.safetensors`` (what training changed) and ``pretrained/`` (what it began with),
        ``manifest.json`` and a card for people, ``README.md``; and ``ids.npz`` where there is an id part,
        which no other file holds: what is called tuned is the part of the texts.
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
    ids : mapping of column to the value of each item code, optional
        For the id part, where ``config.ids`` wants one.
    resume : Path, optional
        A folder that outlives this process and holds the state of the training while it runs: a training
        that was killed, started again with the same arguments, goes on where it was and gives the same
        bytes. Removed when training has succeeded.
    cache_folder : Path, optional
        Keeps token ids, pretrained vectors and lower activations for other runs, whatever their seed.
    catalogue : Catalogue, optional
        The texts as `encode_catalogue` has encoded them with the same settings. Its text tower is trained
        in place: a later training on it needs a ``start``, whose weights replace what is there.

    Returns
    -------
    EncoderResult

    Raises
    ------
    DataError
        No pairs, no texts, texts in a language that the encoder does not read, or a loss that is no number.
    ConfigError, MissingExtraError, BundleError
        The encoder cannot be found, split, cached, exported or resumed.
    """
    known = np.unique(np.asarray(known_items, np.int64))
    _check(texts, pairs, known)
    out_folder.mkdir(parents=True, exist_ok=True)
    kinds = schedule(config, trainer)
    with torch_settings(trainer):
        made = catalogue or encode_catalogue(texts, config, trainer, known, start, cache_folder)
        tokens, text, raw = made.tokens, made.text, made.raw
        torch.set_rng_state(made.random)
        encoded = time.monotonic()

        fit, kept = split_by_time(pairs, trainer.holdout)
        learn, held = select(pairs, fit), select(pairs, kept)
        past = histories(log, learn.head, config.history, clock)
        holdout = Holdout(
            held, histories(log, held.head, config.read_history, clock), known, trainer.holdout_max
        )
        shown, held_lists = _lists(lists, log, config, trainer, clock)
        data = PairModule(PairData(learn, past, known, config), tokens.lengths(), kinds, trainer, shown)
        tower = make_id_tower(config.ids, ids, known, text.dims, trainer.seed)
        module = EncoderModule(text, config, trainer, kinds, data.total_steps(), tower)
        module.prepare(raw.clone(), made.cache, known, holdout, held_lists)
        if start is not None:
            checkpoint.load_weights(module, start)
            module.to(device_of(trainer.accelerator)).refresh()
        keeper = None
        if resume is not None:
            buckets = () if tower is None else (tower.buckets.numpy(),)
            read = (*tokens, *pairs, *(lists or ()), known, log.item, log.time, log.kind, log.prev)
            clocked = (np.array([clock]), *read, *buckets)
            key = training_key(config, trainer, module.state_dict(), clocked)
            keeper = Keeper(resume, key, trainer.save_every_s)
        _fit(module, data, trainer, out_folder, len(kinds), keeper)
        module.restore_best()
        module.cpu()
        trained_s = time.monotonic() - encoded + (keeper.earlier if keeper else 0.0)
        engine, check = _write(module, raw, tokens, config, out_folder)
    checkpoint.save_pretrained(made.folder, module, out_folder)
    made.tokenizer.save(str(out_folder / "tokenizer.json"))
    best = max(module.rows, key=lambda row: row.get(module.monitor, -1.0))
    manifest = describe(
        out_folder,
        {
            "kind": "encoder",
            "engine": engine,
            "model": config.name_or_path,
            "model_sha256": weights_sha256(made.folder),
            "preset": config.preset,
            "dims": text.dims,
            "heads": list(HEADS),
            "max_tokens": config.max_tokens,
            "pad_id": text.pad_id,
            "unknown_tokens": made.unknown,
            "clock": clock,
            "window": dict(window or {}),
            "pairs": {"learned": len(fit), "holdout": len(holdout)},
            "lists": {"learned": len(shown or ()), "holdout": len(held_lists or ())},
            "known_items": len(known),
            "data": hash_data(texts, pairs, log, known, lists if config.lists != "none" else None),
            "metrics": {k: v for k, v in best.items() if k.startswith("holdout/")},
            "best_epoch": best["epoch"],
            "export_check": check,
            "adapted": text.adapted,
            "work": made.work,
            "texts_per_second": made.texts_per_second,
            "seconds": {
                "adapt": made.adapted_s,
                "encode": made.encoded_s,
                "train": trained_s,
                "all": made.adapted_s + made.encoded_s + time.monotonic() - encoded,
            },
            "ids": None if tower is None else tower.manifest(),
            "config": asdict(config),
            "trainer": asdict(trainer),
        },
        module.rows,
    )
    if keeper is not None:
        keeper.remove()
    return EncoderResult(made.adapted + module.rows, manifest)


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


def _write(
    module: EncoderModule, raw: Tensor, tokens: Tokens, config: EncoderConfig, folder: Path
) -> tuple[str, dict[str, float]]:
    """Export the towers; the engine of the text tower, and how near the export is to torch."""
    checkpoint.save_weights(module, folder)
    export.save_user_tower(module.user, folder / "user_tower.npz", config.read_history)
    export.save_ids(module.ids, folder / "ids.npz")
    np.save(folder / "mean.npy", module.head.mean.numpy(), allow_pickle=False)
    with torch.no_grad():
        np.save(folder / "raw.npy", module.head.raw(raw).numpy(), allow_pickle=False)
        np.save(folder / "tuned.npy", module.head(module.bank).numpy(), allow_pickle=False)
    if config.export != "vectors":
        try:
            path = folder / "encoder.onnx"
            check = export.export_onnx(module, tokens, path, config.max_tokens)
            return "onnx", export_int8(module, tokens, path) if config.export == "onnx_int8" else check
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
