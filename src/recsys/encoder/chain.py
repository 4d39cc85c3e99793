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

from recsys.core.artefact import file_sha256, link_or_copy, read_json
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.encoder import checkpoint, small
from recsys.encoder.catalogue import encode_catalogue
from recsys.encoder.config import EncoderConfig
from recsys.encoder.preset_settings import reads
from recsys.encoder.pretrained import model_parts, resolve
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
        As `recsys.encoder.train.train_encoder` has them; ``trainer.limit_minutes`` is for all slices, and the
        preset auto chooses for all of them.
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
    known = _known(first)
    check_input(texts, first.pairs, known)
    kept = out_folder
    if resume is not None:  # what lies in ``out_folder`` may not outlive a kill
        kept = resume = resume / _chain_key(texts, slices, log, config, trainer, clock, start, ids)
    else:  # what an earlier training left there is none of this one's
        shutil.rmtree(kept / checkpoint.SLICES, ignore_errors=True)
    taught = []  # auto estimates the time of all slices
    if config.preset == "auto":
        taught = [
            make_teaching(part.pairs, part.lists, log, _known(part), config, trainer, clock)
            for part in slices
        ]
    catalogue = encode_catalogue(texts, config, trainer, known, taught, start, cache_folder, resume)
    config = catalogue.config
    boundary = replace(config, export="vectors") if reads(config.preset, "export") else config
    more: dict[str, Any] = {"resume": resume, "catalogue": catalogue}
    spent = 0.0
    for k, part in enumerate(slices[:-1], 1):
        folder = kept / checkpoint.SLICES / str(k)
        if not folder.is_dir():
            partial = folder.with_name(f".tmp-{folder.name}")
            limit_s = _limit(trainer, spent, len(slices) - k + 1)
            train(part, boundary, partial, start, limit_s=limit_s, **more)
            partial.rename(folder)
        spent += float(read_json(folder / checkpoint.MANIFEST)["seconds"]["train"])
        start = folder
    result = train(slices[-1], config, out_folder, start, limit_s=_limit(trainer, spent, 1), **more)
    if kept != out_folder:
        shutil.copytree(kept / checkpoint.SLICES, out_folder / checkpoint.SLICES, copy_function=link_or_copy)
        shutil.rmtree(kept)
        remove_empty(kept.parent)
    return result


def _known(part: Slice) -> NDArray[Any]:
    return np.unique(np.asarray(part.known_items, np.int64))


def _limit(trainer: TrainerConfig, spent: float, left: int) -> float | None:
    """Seconds that the next of the slices that are left may take, of those that the chain has left."""
    if not trainer.limit_minutes:
        return None
    return max(60 * trainer.limit_minutes - spent, 0.0) / left


def _files(model: Path, start: Path | None) -> dict[str, Path]:
    """What is read of a pretrained model and of the encoder to go on from, by names without their place."""
    paths = [path for part in model_parts(model) for path in sorted(part.iterdir()) if path.is_file()]
    files = {path.relative_to(model).as_posix(): path for path in paths}
    if start is not None:
        named = {f"from/{name}": start / name for name in (checkpoint.WEIGHTS, small.WEIGHTS)}
        files |= {name: path for name, path in named.items() if path.is_file()}
    return files


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
    files = _files(resolve(config.name_or_path), start)
    hashes = [f"{name} {file_sha256(path)}" for name, path in files.items()]
    told = [repr(clock), repr(ids), *texts, *hashes]
    arrays = [np.frombuffer("\0".join(told).encode(), np.uint8), log.item, log.time, log.kind, log.prev]
    for part in slices:
        arrays += [*part.pairs, *(part.lists or ()), np.asarray(part.known_items)]
    return training_key(config, trainer, {}, arrays)[:16]
