"""What the encoder's benchmark measures on: public data sets as experiments prepare them, or a toy shop.

The data sets lie in the folder that the environment's ``RECSYS_DATA`` names; a figure whose data is not
there is left out with a line that says so. The quick run takes a toy shop and a tiny random encoder for all.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import before
from recsys.core.log import EventLog, PairArrays
from recsys.data.pairs import make_pairs
from recsys.data.prepare import prepare
from recsys.encoder.pretrained import MINILM, resolve
from recsys.pipelines.bench import Figure
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.settings import load

Array = NDArray[Any]
OFFICE, MIND, SHOP = "amazon_office", "mind_small_7k", "shop"
THREADS = 2  # of both sides
TOY = (
    "data=shop",
    "data.shop.items=60",
    "data.shop.users=40",
    "data.shop.events=4000",
    "data.shop.days=30",
    "encoder=adapter",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class World(NamedTuple):
    """What trains an encoder: the text of each item code, pairs of the window fit, the log behind them."""

    texts: list[str]
    log: EventLog
    pairs: PairArrays
    known: Array  # int64 codes of the items seen before the window rank
    clock: bool


def overrides_of(name: str, quick: bool) -> tuple[str, ...] | None:
    """How a run on a data set is asked for; None where its folder is not there."""
    if quick:
        return TOY
    if name == SHOP:
        return ("data=shop",)
    root = os.environ.get("RECSYS_DATA", "")
    folder = Path(root) / name
    return (f"experiment={name}", f"data.dir={folder.absolute()}") if root and folder.is_dir() else None


def threads(quick: bool) -> int:
    """Of both sides; one where it matters only that it runs."""
    return 1 if quick else THREADS


def left_out(names: Iterable[str], why: str) -> list[Figure]:
    """No figures, and the line that says so."""
    print(f"{', '.join(names)}: left out, {why}")
    return []


def no_data(name: str) -> str:
    """Why a figure on a data set is left out."""
    return f"the data set {name} is not there; set RECSYS_DATA to the folder that holds it"


def load_world(overrides: Sequence[str]) -> World:
    """Texts and training pairs as the stages make them."""
    config, _ = load([*overrides, "tracking=none"])
    data = prepare(read_tables(config.data), config.prepare())
    rank = data.windows.rank
    seen = np.unique(data.log.item[: before(data.log, rank)])
    return World(
        data.items[c.TEXT].to_list(),
        data.log,
        make_pairs(data.log, rank, config.data.pairs),
        seen[seen >= 0].astype(np.int64),
        bool(data.meta["clock"]),
    )


def encoder_folder(quick: bool, texts: Iterable[str], folder: Path) -> Path:
    """The pretrained MiniLM or, for the quick run, a tiny random encoder of these words in ``folder``."""
    return tiny_encoder(texts, folder) if quick else resolve(MINILM)


def tiny_encoder(texts: Iterable[str], folder: Path) -> Path:
    """Write a random two-layer BERT of 32 dims, with a tokenizer that knows the words of ``texts``."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers.utils import logging as transformers_logging

    words = sorted({word for text in texts for word in re.findall(r"\w+", text.lower())})
    codes = {word: code for code, word in enumerate(dict.fromkeys((*SPECIAL, *words)))}
    tokenizer = Tokenizer(models.WordPiece(codes, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", codes["[SEP]"]), ("[CLS]", codes["[CLS]"]))
    named = dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True)
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(str(folder))
    transformers_logging.disable_progress_bar()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=len(codes), **sizes), add_pooling_layer=False)
    model.save_pretrained(str(folder))
    return folder
