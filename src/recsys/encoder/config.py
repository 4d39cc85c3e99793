"""What can be set about the encoder and its training; no torch here, so that any command can read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal, get_type_hints

from recsys.core.checks import MOST_SEED, Range, above, at_least, check_choice, check_numbers
from recsys.core.log import HISTORY
from recsys.encoder.ids_config import IdsConfig

Preset = Literal["adapter", "top", "full", "lora"]
PRESETS = ("adapter", "top", "full", "lora")
_EPOCHS = {"adapter": 4, "top": 1, "full": 1, "lora": 1}


@dataclass(frozen=True)
class AdaptConfig:
    """First steps of the language model on the catalogue alone, before anything else is trained.

    All of its layers are trained on the texts of the known items. What follows takes the adapted model
    for the pretrained one, and the trained folder holds its weights. Nothing is done where training goes
    on from a folder.

    Parameters
    ----------
    mlm_epochs : int
        Epochs of masked language modelling.
    contrastive_epochs : int
        Epochs that bring the first part of an item's text (its title) near to the rest of it; after
        those of masked language modelling.
    batch : int
        Texts of a step, or pairs of parts, each the others' negative.
    lr : float
        Learning rate at the start; it falls linearly to a tenth.
    """

    mlm_epochs: int = 0
    contrastive_epochs: int = 0
    batch: int = 64
    lr: float = 5e-5

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "encoder.adapt",
            mlm_epochs=at_least(0),
            contrastive_epochs=at_least(0),
            batch=at_least(2),
            lr=above(0),
        )


@dataclass(frozen=True)
class EncoderConfig:
    """The two towers and how they are trained.

    Parameters
    ----------
    name_or_path : str
        "minilm", or the folder of any Hugging Face encoder. Nothing is fetched from a hub.
    preset : {"adapter", "top", "full", "lora"}
        What is trained of the language model: nothing (its vectors are cached), its last
        ``top_layers`` layers (over cached lower activations), all of it, or low-rank adapters beside its
        linear layers.
    top_layers : int
    freeze_embeddings : bool
        Preset full: the token embeddings stay as they are, often half of the weights.
    lora_layers : int
        Preset lora: the last layers that get adapters, over cached lower activations; 0: all of them,
        over token ids.
    lora_rank : int
    lora_alpha : float
        The adapters' product counts ``lora_alpha / lora_rank`` times. They bear a higher
        ``trainer.text_lr`` than the layers themselves.
    max_tokens : int
        Longer texts are cut.
    allow_unknown_tokens : bool
        Train although more than 30 % of the catalogue's tokens are unknown to the encoder.
    pooling : {"mean"}
    adapter_size, queries, rank : int
        Width of the residual adapter; number of attention queries; rank of the heads' residual.
    history : int
        Most events of a user's history in training.
    read_history : int
        The same when user vectors are read (hold-out included); at most 50.
    history_vectors : {"auto", "fresh", "stale"}
        Whether the loss differentiates through the vectors of the history, or takes those of the
        last pass; "auto" is fresh on cached sentence vectors, stale while the language model is trained.
    lists : {"none", "after", "alone"}
        Whether the lists that were shown teach: not at all, in epochs after those of the pairs, or without
        pairs. The epoch is then chosen by how held-out lists are ranked.
    list_epochs, list_batch : int
        Epochs over the lists; lists of a step.
    loss : {"softmax", "full_softmax", "bce"}
        Of pairs: a softmax over the step's candidates, one over the whole catalogue (the vectors of other
        items as last computed), or one drawn negative a pair.
    log_q : float
        How much of the correction for the sampling of candidates is made. 1 aims at the softmax over the
        catalogue, which holds how popular an item is; 0 leaves popular items as frequent negatives, so
        that what is learned is what a user wants beyond what everybody does.
    negatives : int
        Uniform negatives from the catalogue beside those in the batch (pair epochs).
    mask_history : bool
        Do not take what the user had before as a negative.
    purchase_loss : float
        Weight of the purchase head's loss beside the click head's.
    slices : int
        Into how many parts of as many pairs each the window is cut, in time: the encoder learns them one
        after the other, and what it was at each boundary is kept.
    temperature : float
        Of the softmax at the start; learned.
    warmup_epochs, polish_epochs : int
        Epochs of adapter and user tower alone before and after the language model is trained.
    block_tokens : int
        Tokens of the items that one step of the language model encodes.
    block_pairs : int
        Most pairs of such a step.
    blocks_per_epoch : int
        Most such steps an epoch; 0: every known item once an epoch.
    encode_tokens : int
        Tokens of one forward pass, padding included; on a GPU at least 65,536 where nothing is trained.
    grad_cache_tokens : int
        Tokens of a chunk in which a step's texts are encoded without their graph, and once more for
        their gradients: the memory of a step is then that of a chunk, however many ``block_tokens``.
        0: off.
    cache_gib : float
        Most memory for the cached lower activations.
    export : {"onnx", "onnx_int8", "vectors"}
        What becomes of the text tower after training: an ONNX graph, one whose weights have 8 bits (its
        cost in NDCG is measured), or the vectors of the catalogue alone.
    adapt : AdaptConfig
        First steps on the catalogue's texts.
    ids : IdsConfig
        The id part of item vectors.
    """

    name_or_path: str = "minilm"
    preset: str = "top"
    top_layers: int = 2
    freeze_embeddings: bool = False
    lora_layers: int = 0
    lora_rank: int = 8
    lora_alpha: float = 16.0
    max_tokens: int = 64
    allow_unknown_tokens: bool = False
    pooling: str = "mean"
    adapter_size: int = 128
    queries: int = 4
    rank: int = 64
    history: int = 20
    read_history: int = 50
    history_vectors: str = "auto"
    lists: str = "none"
    list_epochs: int = 4
    list_batch: int = 64
    loss: str = "softmax"
    log_q: float = 1.0
    negatives: int = 256
    mask_history: bool = True
    purchase_loss: float = 0.5
    slices: int = 1
    temperature: float = 0.05
    warmup_epochs: int = 2
    polish_epochs: int = 1
    block_tokens: int = 6144
    block_pairs: int = 2048
    blocks_per_epoch: int = 0
    encode_tokens: int = 2048
    grad_cache_tokens: int = 0
    cache_gib: float = 4.0
    export: str = "onnx"
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    ids: IdsConfig = field(default_factory=IdsConfig)

    def __post_init__(self) -> None:
        check_choice("encoder.preset", self.preset, PRESETS)
        check_choice("encoder.pooling", self.pooling, ("mean",))
        check_choice("encoder.history_vectors", self.history_vectors, ("auto", "fresh", "stale"))
        check_choice("encoder.export", self.export, ("onnx", "onnx_int8", "vectors"))
        check_choice("encoder.loss", self.loss, ("softmax", "full_softmax", "bce"))
        check_choice("encoder.lists", self.lists, ("none", "after", "alone"))
        check_numbers(
            self,
            "encoder",
            top_layers=at_least(1),
            lora_layers=at_least(0),
            lora_rank=at_least(1),
            lora_alpha=above(0),
            max_tokens=at_least(3),
            adapter_size=at_least(1),
            queries=at_least(1),
            rank=at_least(1),
            history=at_least(1),
            read_history=at_least(1, HISTORY),
            list_epochs=at_least(1),
            list_batch=at_least(1),
            log_q=Range(0, 1),
            negatives=at_least(0),
            purchase_loss=at_least(0),
            slices=at_least(1),
            temperature=above(0),
            warmup_epochs=at_least(0),
            polish_epochs=at_least(0),
            block_tokens=at_least(1),
            block_pairs=at_least(1),
            blocks_per_epoch=at_least(0),
            encode_tokens=at_least(1),
            grad_cache_tokens=at_least(0),
            cache_gib=above(0),
        )


@dataclass(frozen=True)
class TrainerConfig:
    """How long and how fast.

    Parameters
    ----------
    max_epochs : int
        Main epochs (beside warm-up and polish); 0: the preset's own (adapter 4, top 1, full 1).
    batch_size : int
        Pairs of a step while the language model rests.
    lr, text_lr : float
        Learning rate of adapter and user tower; of the language model's layers.
    weight_decay : float
    seed : int
    threads : int
        0: as torch finds it.
    patience : int
        Epochs without a better hold-out before it stops; 0: never.
    holdout : float
        Share of the pairs, the last in time, kept out to choose the epoch.
    holdout_max : int
        Most pairs of the hold-out that are ranked.
    accelerator : str
        "auto", "cpu" or "gpu", as Lightning has them.
    precision : {"auto", "fp32", "bf16"}
        Of the language model's arithmetic; heads and losses are always float32. "auto" is bf16 on a GPU
        that has it, and fp32 on a CPU, where bf16 is several times as slow.
    limit_minutes : float
        Ends training at the next step after so long; 0: no limit.
    save_every_s : float
        Seconds between two states of the training on disk, from which it goes on after a kill; 0: one
        before each step.
    """

    max_epochs: int = 0
    batch_size: int = 256
    lr: float = 1e-3
    text_lr: float = 1e-4
    weight_decay: float = 0.01
    seed: int = 0
    threads: int = 0
    patience: int = 2
    holdout: float = 0.1
    holdout_max: int = 2000
    accelerator: str = "auto"
    precision: str = "auto"
    limit_minutes: float = 0.0
    save_every_s: float = 60.0

    def __post_init__(self) -> None:
        check_choice("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        check_choice("trainer.precision", self.precision, ("auto", "fp32", "bf16"))
        check_numbers(
            self,
            "trainer",
            max_epochs=at_least(0),
            batch_size=at_least(1),
            lr=at_least(0),
            text_lr=at_least(0),
            weight_decay=at_least(0),
            seed=at_least(0, MOST_SEED),
            threads=at_least(0),
            patience=at_least(0),
            holdout=Range(0, 1, open_most=True),
            holdout_max=at_least(1),
            limit_minutes=at_least(0),
            save_every_s=at_least(0),
        )


def read_settings(told: Mapping[str, Any]) -> EncoderConfig:
    """An encoder's settings from the mapping that ``asdict`` made of them, read back from JSON."""
    parts: dict[str, Any] = {
        name: part for name, part in get_type_hints(EncoderConfig).items() if is_dataclass(part)
    }

    def value(name: str, one: Any) -> Any:
        if name in parts:
            return parts[name](**{key: value("", inner) for key, inner in one.items()})
        return tuple(one) if isinstance(one, list) else one

    return EncoderConfig(**{name: value(name, one) for name, one in told.items()})


def schedule(config: EncoderConfig, trainer: TrainerConfig) -> list[str]:
    """The kind of each epoch: "pairs" or "lists" (vectors cached), "texts" (the model is trained)."""
    main = trainer.max_epochs or _EPOCHS[config.preset]
    lists = ["lists"] * config.list_epochs if config.lists != "none" else []
    if config.lists == "alone":
        return lists
    if config.preset == "adapter":
        return ["pairs"] * main + lists
    return ["pairs"] * config.warmup_epochs + ["texts"] * main + ["pairs"] * config.polish_epochs + lists
