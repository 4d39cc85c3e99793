"""The whole path: which stage reads what, in one place."""

import os
from dataclasses import replace
from pathlib import Path

from recsys.data.prepare import load as load_prepared
from recsys.encoder.config import EncoderConfig
from recsys.encoder.pretrained import MINILM, resolve
from recsys.features.catalogue import catalogue
from recsys.pipelines import (
    bundle,
    candidates,
    embed,
    evaluate,
    features,
    prepare,
    score,
    select,
    train_encoder,
    train_ranker,
)
from recsys.pipelines.encoder_slices import find_encoder
from recsys.pipelines.rules import check_rules
from recsys.pipelines.runner import Done, Runner, Stage
from recsys.pipelines.settings import RunConfig, raw_files

STAGES: tuple[Stage, ...] = (
    prepare.STAGE,
    train_encoder.STAGE,
    embed.STAGE,
    candidates.STAGE,
    select.STAGE,
    features.STAGE,
    train_ranker.STAGE,
    evaluate.STAGE,
    bundle.STAGE,
    score.STAGE,
)


def stage_configs(config: RunConfig) -> dict[str, object]:
    """Each stage's own part of the configuration: a change elsewhere does not repeat it."""
    data = replace(config.data, dir="", pairs=prepare.DataConfig().pairs)
    threads = config.threads or os.cpu_count() or 1
    encoder = replace(config.encoder, name_or_path="") if own_encoder(config.encoder) else config.encoder
    directions = {c.name: c.direction for c in catalogue(config.features, config.clock) if c.direction}
    ranker = replace(config.ranker, monotone={**directions, **config.ranker.monotone})
    return {
        "prepare": prepare.Config(data, config.prepare()),
        "train-encoder": train_encoder.Config(
            encoder, replace(config.trainer, seed=config.seed), config.data.pairs
        ),
        "embed": embed.Config(threads),
        "candidates": candidates.Config(
            config.candidates, config.features, config.variants, config.evaluation.exclude_seen
        ),
        "select": select.Config(config.select, config.features, config.variants, threads),
        "features": features.Config(config.features, config.variants, threads),
        "train-ranker": train_ranker.Config(ranker, config.variants, config.all_seeds),
        "evaluate": evaluate.Config(
            config.name, config.evaluation, config.variants, config.all_seeds, features=config.features
        ),
        "bundle": bundle.Config(
            config.served,
            config.all_seeds[0],
            config.variants[config.served].train,
            config.features,
            config.candidates,
            config.select,
            config.rules,
            config.data.text,
            threads,
        ),
        "score": score.Config(replace(config.scoring, workers=1), config.scoring.workers or threads),
    }


def own_encoder(config: EncoderConfig) -> dict[str, Path]:
    """The folder of a pretrained encoder of one's own, whose content counts; none for the installed one."""
    return {} if config.name_or_path == MINILM else {train_encoder.PRETRAINED: resolve(config.name_or_path)}


def start_encoder(config: RunConfig) -> dict[str, Path]:
    """The folder of the trained encoder to go on from, whose content counts; none for a new beginning."""
    return {} if config.from_ is None else {train_encoder.START: find_encoder(config.from_)}


READS = {
    "prepare": (),
    "train-encoder": ("prepare",),
    "embed": ("prepare", "train-encoder"),
    "candidates": ("prepare", "train-encoder", "embed"),
    "select": ("prepare", "train-encoder", "embed", "candidates"),
    "features": ("prepare", "train-encoder", "embed", "select"),
    "train-ranker": ("prepare", "select", "features"),
    "evaluate": ("prepare", "train-encoder", "embed", "candidates", "select", "features", "train-ranker"),
    "bundle": ("prepare", "train-encoder", "embed", "select", "train-ranker"),
    "score": ("bundle",),
}


def walk(
    runner: Runner, config: RunConfig, until: str | None = None, tag: str | None = None
) -> dict[str, Done]:
    """Run the stages in order, each on the outputs of those that it reads.

    Parameters
    ----------
    runner : Runner
    config : RunConfig
    until : str, optional
        The last stage to run; all by default. Stages that it does not need are left out.
    tag : str, optional
        Ends the labels of the stages after prepare, where a run goes this way more than once.

    Raises
    ------
    ConfigError
        For rules of served lists that the prepared data cannot follow.
    """
    configs = stage_configs(config)
    wanted = _needed(until) if until else {stage.name for stage in STAGES}
    done: dict[str, Done] = {}
    for stage in STAGES:
        if stage.name not in wanted:
            continue
        inputs: dict[str, Done | Path] = {name: done[name] for name in READS[stage.name]}
        if stage.name == "prepare":
            inputs |= raw_files(config.data)
        if stage.name == "train-encoder":
            inputs |= own_encoder(config.encoder) | start_encoder(config)
        label = f"{stage.name}-{tag}" if tag and READS[stage.name] else stage.name
        done[stage.name] = runner(stage, inputs, configs[stage.name], label)
        if stage.name == "prepare" and "bundle" in wanted and config.rules.any:
            check_rules(config.rules, config.ranker.probabilities, load_prepared(done["prepare"].folder))
    return done


def _needed(name: str) -> set[str]:
    found = {name}
    for before in READS[name]:
        found |= _needed(before)
    return found
