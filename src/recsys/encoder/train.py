"""The one entry: texts, pairs and a log in; a folder with the exported towers out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from recsys.core.errors import DataError
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.encoder import checkpoint, tiers
from recsys.encoder.card import describe
from recsys.encoder.catalogue import Catalogue, device_of, encode_catalogue, torch_settings
from recsys.encoder.config import EncoderConfig, schedule
from recsys.encoder.datamodule import PairModule
from recsys.encoder.decision import forget_choice
from recsys.encoder.estimate import compare
from recsys.encoder.fingerprint import hash_data
from recsys.encoder.fit import fit
from recsys.encoder.id_tower import make_id_tower
from recsys.encoder.interests import Interests
from recsys.encoder.module import EncoderModule
from recsys.encoder.preset_settings import as_preset
from recsys.encoder.pretrained import weights_sha256
from recsys.encoder.prior import mean_user
from recsys.encoder.resume import Keeper, training_key
from recsys.encoder.teaching import make_teaching
from recsys.encoder.trainer_config import TrainerConfig
from recsys.encoder.user_tower import HEADS
from recsys.encoder.write import write_towers

Array = NDArray[Any]


class EncoderResult(NamedTuple):
    """What training gives back."""

    history: list[dict[str, Any]]  # one row an epoch, the start first: losses, hold-out metrics, seconds
    manifest: dict[str, Any]  # as written to manifest.json


def check_input(texts: Sequence[str], pairs: PairArrays, known: Array) -> None:
    """Refuse a training that has nothing to learn from: no pairs, no texts, or no known items."""
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


def check_weights(module: torch.nn.Module) -> None:
    """Refuse weights that are no numbers: a last step's loss may be one and its gradient not."""
    for name, weights in module.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise DataError(
                f"the trained weights {name}",
                expected="finite numbers",
                found="others among them",
                do="Lower trainer.lr and trainer.text_lr, and check the weights of the pairs.",
            )


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
    limit_s: float | None = None,
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
    limit_s : float, optional
        Most seconds of the steps, in place of ``trainer.limit_minutes``.

    Returns
    -------
    EncoderResult

    Raises
    ------
    DataError
        No pairs, no texts, texts in a language that the encoder does not read, or a loss that is no number.
    ConfigError, MissingExtraError, BundleError
        The encoder cannot be found, split, cached or resumed, or what exports is not installed. A graph that
        is not torch's own is refused, with a warning: the folder holds the vectors alone.
    """
    known = np.unique(np.asarray(known_items, np.int64))
    check_input(texts, pairs, known)
    out_folder.mkdir(parents=True, exist_ok=True)
    taught = make_teaching(pairs, lists, log, known, config, trainer, clock)
    made = catalogue or encode_catalogue(texts, config, trainer, known, [taught], start, cache_folder, resume)
    config = as_preset(config, made.config.preset)
    text, tokens, began = made.text, made.tokens, time.monotonic()
    with torch_settings(trainer):
        torch.set_rng_state(made.random)
        kinds = schedule(config, trainer)
        data = PairModule(taught.pairs, tokens.lengths(), kinds, trainer, taught.lists)
        tower = make_id_tower(config.ids, ids, known, text.dims, trainer.seed)
        module = EncoderModule(text, config, trainer, kinds, data.total_steps(), tower)
        module.prepare(made.raw.clone(), made.cache, known, taught.holdout, taught.held_lists)
        if start is not None:
            checkpoint.check_start(start, config, weights_sha256(made.folder), text.pooling)
            checkpoint.load_weights(module, start)
            module.to(device_of(trainer.accelerator)).refresh()
        elif isinstance(module.head.interests, Interests):
            centred = module.head.raw(module.bank)
            anybody = module.head.interests.fit(centred, taught.pairs.pairs, known, trainer.seed)
            module.user.prior.data.copy_(anybody)
        keeper = None
        if resume is not None:
            buckets = () if tower is None else (tower.buckets.numpy(),)
            read = (*tokens, *pairs, *(lists or ()), known, log.item, log.time, log.kind, log.prev)
            pooling = np.frombuffer(text.pooling.encode(), np.uint8)
            clocked = (np.array([clock]), *read, *buckets, pooling)
            key = training_key(config, trainer, module.state_dict(), clocked)
            keeper = Keeper(resume, key, trainer.save_every_s)
        fit(module, data, trainer, out_folder, keeper, limit_s)
        module.restore_best()
        module.cpu()
        check_weights(module)
        past = taught.pairs.past
        if module.head.interests is None and (past.items[:, 0] >= 0).all():  # nothing else told the prior
            module.user.prior.data.copy_(mean_user(module.user, module.item_vectors(module.bank), past))
        trained_s = time.monotonic() - began + (keeper.earlier if keeper else 0.0)
        engine, check = write_towers(module, made.raw, tokens, config, out_folder)
        best_epoch, best_share, metrics = module.outcome()
        notes = made.notes | {
            "metrics": metrics,
            "texts_per_s": tiers.texts_per_s(text.plain(), tokens, config),
        }
        if engine == "static":
            notes = tiers.write_static(module, made.raw, tokens, known, config, out_folder, notes)
    seconds = made.seconds | {"train": trained_s, "write": time.monotonic() - began - trained_s}
    seconds["all"] = sum(seconds.values())
    if "auto" in notes and catalogue is None:  # a chain was estimated as a whole
        notes["auto"] = notes["auto"] | {"took_s": seconds["all"]}
        print(compare(notes["auto"], config.preset, seconds["all"]), flush=True)
    checkpoint.save_pretrained(made.folder, module, out_folder)
    made.tokenizer.save(str(out_folder / "tokenizer.json"))
    manifest = describe(
        out_folder,
        {
            "kind": "encoder",
            "engine": engine,
            "model": config.name_or_path,
            "model_sha256": weights_sha256(made.folder),
            "preset": config.preset,
            "pooling": text.pooling,
            "dims": text.dims,
            "heads": list(HEADS),
            "max_tokens": config.max_tokens,
            "pad_id": text.pad_id,
            "unknown_tokens": made.unknown,
            "clock": clock,
            "window": dict(window or {}),
            **taught.counts(),
            "known_items": len(known),
            "data": hash_data(texts, pairs, log, known, lists if config.lists != "none" else None),
            "best_epoch": best_epoch,
            "best_share": best_share,
            "export_check": check,
            "adapted": text.adapted,
            "work": made.work,
            "seconds": seconds,
            "ids": None if tower is None else tower.manifest(),
            "config": asdict(config),
            "trainer": asdict(trainer),
        }
        | notes,
        module.rows,
    )
    if resume is not None and catalogue is None:
        forget_choice(resume)
    if keeper is not None:
        keeper.remove()
    return EncoderResult(made.adapted + module.rows, manifest)
