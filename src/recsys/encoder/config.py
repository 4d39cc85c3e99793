"""What can be set about the encoder and its training; no torch here, so that any command can read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal, get_type_hints

from recsys.core.checks import Range, above, at_least, check_choice, check_numbers
from recsys.core.errors import ConfigError
from recsys.core.log import HISTORY
from recsys.encoder.adapt_config import AdaptConfig
from recsys.encoder.ids_config import IdsConfig
from recsys.encoder.preset_settings import PRESETS, RESTING, TRAINED, refuse_unread
from recsys.encoder.trainer_config import TrainerConfig

Preset = Literal["adapter", "top", "full", "lora", "small", "static", "auto"]
_EPOCHS = {"adapter": 4, "top": 1, "full": 1, "lora": 1, "small": 4, "static": 4}
_SMALL_LAYERS = 2


@dataclass(frozen=True)
class EncoderConfig:
    """The two towers and how they are trained.

    A setting away from its default that the preset does not read is refused
    (`recsys.encoder.preset_settings` says which reads which).

    Parameters
    ----------
    name_or_path : str
        "minilm", or the folder of any Hugging Face encoder. Nothing is fetched from a hub.
    preset : {"adapter", "top", "full", "lora", "small", "static", "auto"}
        What is trained of the language model: nothing (its vectors are cached), its last
        ``top_layers`` layers (over cached lower activations), all of it, or low-rank adapters beside its
        linear layers. "small" and "static" train as "adapter" does; "small" over a model of fewer layers
        that is taught the whole one's vectors, "static" with a table of token vectors fitted in its place
        at the end. "auto" chooses among all of these but "lora".
    layers : int
        Layers that preset small keeps; 0: two.
    distil_texts : int
        Most texts that presets small and static learn from; the large model encodes no other.
    distil_passes : int
        Passes over these texts that teach the small model.
    distil_lr : float
        Learning rate of its layers in these passes; it rises quickly and falls slowly.
    budget_minutes : float
        What preset auto may take.
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
    pooling : {"auto", "mean", "cls", "last"}
        How the tokens' hidden states become one vector: their mean, that of the first or of the last
        token. "auto": as the encoder's own ``1_Pooling/config.json`` says; without one the last token of
        a causal model, else the mean.
    interest_topics : int
        0: item vectors begin as the centred vectors of their texts. More: as those of the directions in
        which the items of a user agree, in closed form, of texts and of their nearness to so many topics,
        drawn towards the mean user (`recsys.encoder.interests`). For items that are new each day and users
        with several events.
    adapter_size, queries, rank : int
        Width of the residual adapter; number of attention queries; rank of the heads' residual.
    recency : float
        Weight of an event beside that of the next newer one where training begins. 1: a user begins as the
        plain mean of the history; 0.5: the newest event counts as much as all before it.
    history : int
        Most events of a user's history in training.
    read_history : int
        The same when user vectors are read (hold-out included); at most 50.
    history_vectors : {"auto", "fresh", "stale"}
        Whether the loss differentiates through the vectors of the history, or takes those of the
        last pass; "auto" is fresh on cached sentence vectors, stale while the language model is trained.
    lists : {"none", "judge", "after", "alone"}
        What the lists that were shown are for: nothing; to choose the epoch by how the last of them
        are ranked, pairs before those teaching; to teach as well, in epochs after those of the pairs, or
        without pairs ("alone": for presets whose language model rests, since lists do not train it).
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
    pairs_per_epoch : int
        Most pairs of an epoch over pairs, drawn anew each time; 0: all.
    interpolate : bool
        Let the hold-out choose between the start and each epoch as well, by weights on the line between
        the two (`recsys.encoder.interpolate`): little training that carries over, instead of much that
        does not. For presets that leave the language model alone.
    mask_history : bool
        Do not take as negatives what the user had before, nor what else the user takes in the same step.
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
        Most room for a catalogue's lower activations, and for all encoded texts that are kept across runs.
    export : {"onnx", "onnx_int8", "vectors"}
        What becomes of the text tower after training: an ONNX graph, one whose weights have 8 bits (its
        cost in NDCG is measured), or the vectors of the catalogue alone. Preset static has its table.
    adapt : AdaptConfig
        First steps on the catalogue's texts.
    ids : IdsConfig
        The id part of item vectors.
    """

    name_or_path: str = "minilm"
    preset: str = "top"
    layers: int = 0
    distil_texts: int = 10_000
    distil_passes: int = 2
    distil_lr: float = 1e-3
    budget_minutes: float = 20.0
    top_layers: int = 2
    freeze_embeddings: bool = False
    lora_layers: int = 0
    lora_rank: int = 8
    lora_alpha: float = 16.0
    max_tokens: int = 64
    allow_unknown_tokens: bool = False
    pooling: str = "auto"
    interest_topics: int = 0
    adapter_size: int = 128
    queries: int = 4
    recency: float = 1.0
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
    pairs_per_epoch: int = 0
    interpolate: bool = False
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
        check_choice("encoder.pooling", self.pooling, ("auto", "mean", "cls", "last"))
        check_choice("encoder.history_vectors", self.history_vectors, ("auto", "fresh", "stale"))
        check_choice("encoder.export", self.export, ("onnx", "onnx_int8", "vectors"))
        check_choice("encoder.loss", self.loss, ("softmax", "full_softmax", "bce"))
        check_choice("encoder.lists", self.lists, ("none", "judge", "after", "alone"))
        check_numbers(
            self,
            "encoder",
            layers=at_least(0),
            distil_texts=at_least(2),
            distil_passes=at_least(1),
            distil_lr=above(0),
            budget_minutes=above(0),
            top_layers=at_least(1),
            lora_layers=at_least(0),
            lora_rank=at_least(1),
            lora_alpha=above(0),
            max_tokens=at_least(3),
            interest_topics=at_least(0),
            adapter_size=at_least(1),
            queries=at_least(1),
            recency=above(0, 1),
            rank=at_least(1),
            history=at_least(1),
            read_history=at_least(1, HISTORY),
            list_epochs=at_least(1),
            list_batch=at_least(1),
            log_q=Range(0, 1),
            negatives=at_least(0),
            pairs_per_epoch=at_least(0),
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
        refuse_unread(self)
        if self.lists == "alone" and self.preset in TRAINED:
            raise ConfigError(
                "encoder.lists",
                expected=f"none, judge or after with preset {self.preset}, whose layers learn from pairs",
                found="alone",
                do=f"Set encoder.preset to one whose language model rests: {', '.join(RESTING)}.",
            )

    @property
    def kept_layers(self) -> int:
        """Layers that preset small keeps."""
        return self.layers or _SMALL_LAYERS


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
    lists = ["lists"] * config.list_epochs if config.lists in ("after", "alone") else []
    if config.lists == "alone":
        return lists
    if config.preset in RESTING:
        return ["pairs"] * main + lists
    return ["pairs"] * config.warmup_epochs + ["texts"] * main + ["pairs"] * config.polish_epochs + lists
