"""How long each preset would take: a pure function of what a machine manages and of what there is to do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys.encoder import export_int8, small, static
from recsys.encoder.config import EncoderConfig, schedule
from recsys.encoder.preset_settings import TRAINED, as_preset, reads
from recsys.encoder.trainer_config import TrainerConfig

ORDER = (
    "full",
    "top",
    "adapter",
    "small",
    "static",
)  # by how much of the model each trains; not every data set repays it
BACKWARD = 2.0  # of a layer, in its forward passes
EXPORT_S = 15.0  # an ONNX graph traced, written and compared
ROUND_S = 3.0  # its weights rounded to 8 bits


@dataclass(frozen=True)
class Measured:
    """What a machine manages.

    Parameters
    ----------
    tokens_per_s : float
        Real tokens through the whole language model, forwards.
    pair_step_s, list_step_s : float
        Seconds of a step of adapter and user tower, over pairs and over lists (0 where none teach).
    table_tokens_per_s : float
        Tokens whose rows a static table sums, for one kind of vector.
    cores : int
        That torch uses.
    """

    tokens_per_s: float
    pair_step_s: float
    list_step_s: float
    table_tokens_per_s: float
    cores: int


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Parameters
    ----------
    texts, tokens, vocabulary : int
        Of the catalogue; rows of the model's token table.
    pair_steps, list_steps : int
        Steps of an epoch over the pairs and over the lists, of all slices.
    slices : int
        Trainings, one after another.
    depth, dims : int
        Layers of the model; length of a vector.
    cache_bytes : int
        What preset top would keep of the catalogue: lower activations of distinct texts, in the arithmetic
        of the language model.
    """

    texts: int
    tokens: int
    vocabulary: int
    pair_steps: int
    list_steps: int
    slices: int
    depth: int
    dims: int
    cache_bytes: int


def estimate(
    measured: Measured, work: Work, config: EncoderConfig, trainer: TrainerConfig
) -> dict[str, float]:
    """Seconds of a training with each preset; infinite where it cannot be done.

    Parameters
    ----------
    measured : Measured
    work : Work
    config : EncoderConfig
        Its ``preset`` does not matter.
    trainer : TrainerConfig

    Returns
    -------
    dict of preset to seconds
        Best preset first.
    """
    encode = work.tokens / measured.tokens_per_s
    taught = encode * min(1.0, config.distil_texts / work.texts)
    few = config.kept_layers / work.depth
    sampled = work.texts > config.distil_texts  # then a first table stands in for the texts that are left out
    fits = 2 * work.slices + (1 if sampled else 0)  # of one kind of vector; a table a slice has two
    rows = fits * (taught / encode) * work.tokens / measured.table_tokens_per_s
    tables = work.slices + (1 if sampled else 0)
    singles = tables * 3 * work.vocabulary / measured.tokens_per_s  # a token and its frame
    choices = sum(range(config.kept_layers + 1, work.depth + 1)) * small.CHOSEN_BY / work.texts
    before = {
        "full": encode,
        "top": encode,
        "adapter": encode,
        "small": taught * (1 + config.distil_passes * (1 + BACKWARD) * few) + encode * (choices + few),
        "static": taught + singles + static.PASSES * rows,
    }
    export = {"onnx": EXPORT_S}  # 8 bits are ranked with as well
    export["onnx_int8"] = EXPORT_S + ROUND_S + encode * min(1.0, export_int8.COSTED_ITEMS / work.texts)
    seconds = {}
    for preset in ORDER:
        if config.lists == "alone" and preset in TRAINED:
            seconds[preset] = math.inf  # lists would leave its layers untrained
            continue
        kinds = schedule(as_preset(config, preset), trainer)
        trained = {"full": 1.0, "top": config.top_layers / work.depth}.get(preset, 0.0)
        block = encode
        if config.blocks_per_epoch:
            block *= min(1.0, config.blocks_per_epoch * config.block_tokens / work.tokens)
        text_epoch = trained * (block * (1 + BACKWARD) + encode)  # at its end all is encoded anew
        seconds[preset] = (
            before[preset]
            + kinds.count("pairs") * work.pair_steps * measured.pair_step_s
            + kinds.count("lists") * work.list_steps * measured.list_step_s
            + kinds.count("texts") * work.slices * text_epoch
            + (export.get(config.export, 0.0) if reads(preset, "export") else 0.0)
        )
    if work.cache_bytes > config.cache_gib * 2**30 or config.top_layers > work.depth:
        seconds["top"] = math.inf
    if config.kept_layers >= work.depth:
        seconds["small"] = math.inf
    return seconds


def choose(seconds: Mapping[str, float], budget_s: float) -> str:
    """The first preset of `ORDER` that fits the budget; the quickest where none does."""
    fits = [preset for preset in ORDER if seconds[preset] <= budget_s]
    return fits[0] if fits else min(ORDER, key=seconds.__getitem__)


def describe(seconds: Mapping[str, float], chosen: str, budget_minutes: float) -> str:
    """One line: what each preset would take, and which it is."""
    times = ", ".join(f"{preset} {seconds[preset] / 60:.1f}" for preset in ORDER)
    return f"encoder=auto: estimated minutes {times}; {chosen} of at most {budget_minutes:g}"


def compare(record: Mapping[str, Any], chosen: str, took_s: float) -> str:
    """One line: what the training took beside what was estimated."""
    estimated = record["estimated_s"][chosen] / 60
    return f"encoder=auto: {chosen} took {took_s / 60:.1f} minutes, estimated {estimated:.1f}"
