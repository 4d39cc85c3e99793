"""The texts of a catalogue as training reads them, and how torch is set while it does."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from recsys.core.errors import ConfigError
from recsys.core.seeding import seed_everything
from recsys.encoder import auto
from recsys.encoder.adapt.first_steps import first_steps
from recsys.encoder.checkpoint import load_adapted
from recsys.encoder.config import EncoderConfig
from recsys.encoder.precision import bf16_on
from recsys.encoder.pretrained import resolve
from recsys.encoder.teaching import Teaching
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower, read_pad_id
from recsys.encoder.tiers import encode_tier
from recsys.encoder.token_cache import cached_tokens
from recsys.encoder.tokens import Tokens, check_readable, load_tokenizer
from recsys.encoder.trainer_config import TrainerConfig


class Catalogue(NamedTuple):
    """The texts as training reads them: made once, for one training after another."""

    config: EncoderConfig  # with the preset that `auto` chose
    folder: Path
    tokenizer: Tokenizer
    tokens: Tokens
    text: TextTower
    raw: Tensor  # (items, dims), pretrained pooled vectors
    cache: TextCache
    random: Tensor  # torch's random state after the pretrained model was loaded
    adapted: list[dict[str, Any]]  # rows of the first steps on the texts alone, where there were any
    notes: dict[str, Any]  # for the manifest: what the tier and `auto` say
    unknown: float  # share of tokens that the tokenizer does not know
    work: dict[str, int]  # how many texts were tokenised, encoded, found
    seconds: dict[str, float]  # of each part of it


@contextlib.contextmanager
def torch_settings(trainer: TrainerConfig) -> Iterator[None]:
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


def device_of(accelerator: str) -> torch.device:
    """The device that Lightning takes for a word of its own; ``ConfigError`` where it is not there."""
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(
            "trainer.accelerator",
            expected="auto or cpu, since torch finds no CUDA device here",
            found=accelerator,
            do="Leave it at auto, or install a torch that has CUDA on a machine with a GPU.",
        )
    gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")


def encode_catalogue(
    texts: Sequence[str],
    config: EncoderConfig,
    trainer: TrainerConfig,
    known: NDArray[Any],
    taught: Sequence[Teaching] = (),
    start: Path | None = None,
    cache_folder: Path | None = None,
    resume: Path | None = None,
) -> Catalogue:
    """Tokenise the texts, load the pretrained model, adapt it to them, and run it once over them.

    Parameters
    ----------
    texts, config, trainer
        As `recsys.encoder.train.train_encoder` has them.
    known : int array
        Codes of the items whose texts the pretrained model may adapt to, and small encoders may learn from.
    taught : sequence of Teaching
        What will teach, one a slice; the preset auto needs it to estimate the time.
    start : Path, optional
        The folder of an encoder whose adapted model is taken instead.
    cache_folder : Path, optional
        Keeps tokens and what the pretrained model makes of them for other runs.
    resume : Path, optional
        Keeps what the preset auto chose, for a training that goes on.
    """
    folder, device = resolve(config.name_or_path), device_of(trainer.accelerator)
    began, notes = time.monotonic(), dict[str, Any]()
    with torch_settings(trainer):
        tokenizer = load_tokenizer(folder)
        tokens, tokenised = cached_tokens(
            tokenizer,
            texts,
            config.max_tokens,
            cache_folder and cache_folder / "tokens",
            read_pad_id(folder),
        )
        unknown = check_readable(tokenizer, tokens, texts, config.allow_unknown_tokens)
        if config.preset == "auto":
            assert taught, "auto estimates the steps over pairs and lists too"
            config, notes["auto"] = auto.decide(folder, tokens, taught, config, trainer, device, resume)
    with torch_settings(trainer):  # anew: what was measured before must not matter
        text = TextTower(folder, config)
        random = torch.get_rng_state()
        text.to(device).bf16 = bf16_on(trainer.precision, device)
        loaded, adapted = time.monotonic(), list[dict[str, Any]]()
        if start is not None:
            load_adapted(text, start)
        else:
            adapted = first_steps(text, folder, tokenizer, [texts[i] for i in known], config, trainer.seed)
        ready = time.monotonic()
        raw, cache, reuse, told = encode_tier(
            text, tokens, known, config, trainer, start, cache_folder and cache_folder / "texts"
        )
    return Catalogue(
        config,
        folder,
        tokenizer,
        tokens,
        text,
        raw,
        cache,
        random,
        adapted,
        notes | told,
        unknown,
        work={"tokenised": tokenised, **reuse._asdict()},
        seconds={"load": loaded - began, "adapt": ready - loaded, "encode": time.monotonic() - ready},
    )
