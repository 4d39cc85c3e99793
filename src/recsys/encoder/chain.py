"""One training forward in time, slice by slice, each warm-started on the last.

A slice learns from its own window alone, and its folder is an encoder that has seen nothing later: it may
score what comes next. Vectors of all slices share one geometry, since the mean that they are centred on is
that of the first slice's items and is handed on with the weights. Going on from yesterday's encoder with
today's events is the same thing, cut in two.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import file_sha256, link_or_copy
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.encoder import checkpoint
from recsys.encoder.catalogue import encode_catalogue
from recsys.encoder.config import EncoderConfig
from recsys.encoder.pretrained import resolve
from recsys.encoder.resume import remove_empty, training_key
from recsys.encoder.teaching import make_teaching
from recsys.encoder.train import EncoderResult, check_input, train_encoder
from recsys.encoder.trainer_config import TrainerConfig


class Slice(NamedTuple):
    """What one slice learns from, as `train_encoder` takes it."""

    pairs: PairArrays
    lists: ListArrays | None
    known_items: NDArray[Any]  # codes of the items that exist before the slice's end
    window: Mapping[str, Any]  # for the manifest: what has been seen when the slice is done


def train_chain(
    texts: Sequence[str],
    slices: Sequence[Slice],
    log: EventLog,
    config: EncoderConfig,
    trainer: TrainerConfig,
    out_folder: Path,
    *,
    clock: bool,
    start: Path | None = None,
    resume: Path | None = None,
    cache_folder: Path | None = None,
    ids: Mapping[str, Sequence[object]] | None = None,
) -> EncoderResult:
    """Train the slices in order; the last is the encoder, those before it are folders beside its files.

    Parameters
    ----------
    texts, log, config, trainer, clock, resume, cache_folder, ids
        As `recsys.encoder.train.train_encoder` has them.
    slices : sequence of Slice
        In the order of time.
    out_folder : Path
        Gets what `train_encoder` writes, of the last slice, and ``slices/<k>/`` of slice k (from 1), each
        with weights, user tower, vectors and a manifest of what it saw, without a graph.
    start : Path, optional
        The folder of an encoder of the same configuration that the first slice goes on from.
    """

    def train(
        part: Slice, config: EncoderConfig, folder: Path, start: Path | None, **more: Any
    ) -> EncoderResult:
        return train_encoder(
            texts,
            part.pairs,
            log,
            config,
            trainer,
            folder,
            clock=clock,
            known_items=part.known_items,
            lists=part.lists,
            start=start,
            window=part.window,
            ids=ids,
            **more,
        )

    first, *others = slices
    if not others:
        return train(first, config, out_folder, start, resume=resume, cache_folder=cache_folder)
    known = np.unique(np.asarray(first.known_items, np.int64))
    check_input(texts, first.pairs, known)
    pairs = None  # that auto estimates the time of
    if config.preset == "auto":
        pairs = make_teaching(first.pairs, first.lists, log, known, config, trainer, clock).pairs
    catalogue = encode_catalogue(texts, config, trainer, known, pairs, start, cache_folder)
    config = catalogue.config
    kept = out_folder
    if resume is not None:  # what lies in ``out_folder`` may not outlive a kill
        kept = resume = resume / _chain_key(texts, slices, log, config, trainer, clock, start, ids)
    else:  # what an earlier training left there is none of this one's
        shutil.rmtree(kept / checkpoint.SLICES, ignore_errors=True)
    boundary = replace(config, export="vectors")
    for k, part in enumerate(slices[:-1], 1):
        folder = kept / checkpoint.SLICES / str(k)
        if not folder.is_dir():
            partial = folder.with_name(f".tmp-{folder.name}")
            train(part, boundary, partial, start, resume=resume, catalogue=catalogue)
            partial.rename(folder)
        start = folder
    result = train(slices[-1], config, out_folder, start, resume=resume, catalogue=catalogue)
    if kept != out_folder:
        shutil.copytree(kept / checkpoint.SLICES, out_folder / checkpoint.SLICES, copy_function=link_or_copy)
        shutil.rmtree(kept)
        remove_empty(kept.parent)
    return result


def _chain_key(
    texts: Sequence[str],
    slices: Sequence[Slice],
    log: EventLog,
    config: EncoderConfig,
    trainer: TrainerConfig,
    clock: bool,
    start: Path | None,
    ids: Mapping[str, Sequence[object]] | None,
) -> str:
    """A name for the slices that are done, by the content of all that decides them."""
    files = sorted(path for path in resolve(config.name_or_path).iterdir() if path.is_file())
    files += [start / checkpoint.WEIGHTS] if start is not None else []
    told = [repr(clock), repr(ids), *texts, *(file_sha256(path) for path in files)]
    arrays = [np.frombuffer("\0".join(told).encode(), np.uint8), log.item, log.time, log.kind, log.prev]
    for part in slices:
        arrays += [*part.pairs, *(part.lists or ()), np.asarray(part.known_items)]
    return training_key(config, trainer, {}, arrays)[:16]
