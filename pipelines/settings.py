"""A run's whole configuration as frozen dataclasses; the only place where the rooms' configs meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from recsys.candidates.sources import CandidatesConfig
from recsys.core.checks import MOST_SEED, at_least, check_choice, check_number, check_numbers
from recsys.core.columns import BASELINES, P_PURCHASE
from recsys.core.errors import ConfigError
from recsys.data.clean import CleanConfig
from recsys.data.pairs import PairsConfig
from recsys.data.prepare import PrepareConfig
from recsys.data.requests import RequestsConfig
from recsys.data.sources.files import FilesConfig, paths
from recsys.data.sources.shop import ShopConfig
from recsys.data.split import SplitConfig
from recsys.data.text import TextConfig
from recsys.encoder.config import EncoderConfig
from recsys.encoder.preset_settings import PRESETS
from recsys.encoder.trainer_config import TrainerConfig
from recsys.evaluation.baselines.config import (
    AlsConfig,
    BprConfig,
    EaseConfig,
    ItemKnnConfig,
    SasrecConfig,
)
from recsys.evaluation.config import EvaluationConfig
from recsys.features.catalogue import catalogue
from recsys.interest.compact import VectorsConfig
from recsys.pipelines.door import compose, to_dataclass, with_defaults
from recsys.pipelines.session import PathsConfig
from recsys.pipelines.variants import Variant, check_names
from recsys.ranking.config import RerankerConfig
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.probability import EVENT
from recsys.ranking.rules import RulesConfig
from recsys.serving.batch_config import BatchConfig
from recsys.state.family import StateConfig
from recsys.tracking.run import TrackingConfig


@dataclass(frozen=True)
class DataConfig(FilesConfig):
    """Where the tables come from: a folder of files, or the demo shop.

    Parameters
    ----------
    source : {"shop", "files"}
    time : {"real", "order"}
        Whether timestamps are times, or no more than an order.
    real_from : str, optional
        From when on they are times, where only a part is; earlier events have an order and no age.
    shop : ShopConfig
        Of the demo shop.
    clean, text, pairs
        Cleaning rules, the columns that make an item's text, and what teaches the encoder.
    """

    source: Literal["shop", "files"] = "files"
    time: Literal["real", "order"] = "real"
    real_from: str | None = None
    shop: ShopConfig = field(default_factory=ShopConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    text: TextConfig = field(default_factory=TextConfig)
    pairs: PairsConfig = field(default_factory=PairsConfig)

    def files(self) -> FilesConfig:
        """The part that the files source reads."""
        return FilesConfig(**{f.name: getattr(self, f.name) for f in fields(FilesConfig)})


@dataclass(frozen=True)
class EvaluateConfig(EvaluationConfig):
    """What is measured, and on which windows.

    Parameters
    ----------
    read_test : bool
        Whether the test window is looked at; every such look is counted.
    exclude_seen : bool
        What the user had before the request does not compete, where nobody takes an item twice: the sources
        offer others in its place, and no model ranks it. Lists that were logged stay as they are.
    baselines : tuple of str
        The models that a report is held against, of `BASELINES`; the encoder alone is always there.
    item_knn, ease, als, bpr, sasrec
        Settings of those that learn.
    """

    read_test: bool = True
    exclude_seen: bool = False
    baselines: tuple[str, ...] = ("random", "popularity", "transition", "text_raw")
    item_knn: ItemKnnConfig = field(default_factory=ItemKnnConfig)
    ease: EaseConfig = field(default_factory=EaseConfig)
    als: AlsConfig = field(default_factory=AlsConfig)
    bpr: BprConfig = field(default_factory=BprConfig)
    sasrec: SasrecConfig = field(default_factory=SasrecConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.baselines:
            check_choice("evaluation.baselines", name, BASELINES)


@dataclass(frozen=True)
class CompareConfig:
    """What ``recsys compare-encoders`` puts side by side.

    Parameters
    ----------
    presets : tuple of str
        Options of the config group ``encoder``; the others are held against the first.
    texts : int
        Of the catalogue, on which each exported tower is timed; three times.
    """

    presets: tuple[str, ...] = ("adapter", "small", "static")
    texts: int = 200

    def __post_init__(self) -> None:
        for preset in self.presets:
            check_choice("compare.presets", preset, PRESETS)
        if len(self.presets) < 2 or len(set(self.presets)) < len(self.presets):
            raise ConfigError(
                "compare.presets",
                expected="two presets or more, each once",
                found=", ".join(self.presets) or "none",
                do="Name those that you want side by side, such as [adapter,small,static].",
            )
        check_numbers(self, "compare", texts=at_least(1))


@dataclass(frozen=True)
class RunConfig:
    """Everything."""

    name: str
    data: DataConfig
    split: SplitConfig
    requests: RequestsConfig
    features: StateConfig
    candidates: CandidatesConfig
    select: SelectConfig
    encoder: EncoderConfig
    trainer: TrainerConfig
    ranker: RerankerConfig
    evaluation: EvaluateConfig
    scoring: BatchConfig
    tracking: TrackingConfig
    paths: PathsConfig
    variants: Mapping[str, Variant]
    seed: int = 0
    seeds: tuple[int, ...] = ()
    serve: str | None = None
    from_: str | None = None  # the key is "from", which Python keeps for itself
    threads: int = 0
    force: bool = False
    vectors: VectorsConfig = field(default_factory=VectorsConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    rules: RulesConfig = field(default_factory=RulesConfig)
    model: str | None = None  # of recsys update and recsys rollback alone, as the two below
    events: str | None = None
    items: str | None = None

    def __post_init__(self) -> None:
        check_names(self.variants)
        check_number("seed", self.seed, at_least(0, MOST_SEED))
        check_number("threads", self.threads, at_least(0))
        for seed in self.seeds:
            check_number("seeds", seed, at_least(0, MOST_SEED))
        catalogue(self.features, self.clock)  # refuses feature rows that make no sense
        if not self.variants:
            raise ConfigError("variants", expected="at least one", found="none", do="Add variants.default.")
        if not self.clock:
            self._refuse_clocks()
        if self.evaluation.rows not in ("retrieved", self.requests.rows):
            raise ConfigError(
                "evaluation.rows",
                expected=f"what is ranked: requests.rows={self.requests.rows}",
                found=self.evaluation.rows,
                do="Set requests.rows; the evaluation follows it.",
            )
        for name, variant in self.variants.items():
            if variant.crossfit and self.clock:
                raise ConfigError(
                    f"variants.{name}.crossfit",
                    expected="data.time=order",
                    found="data.time=real",
                    do="Leave it out: a count that fades has no value at a request earlier than its events.",
                )
            if variant.crossfit and self.requests.folds < 2:
                raise ConfigError(
                    f"variants.{name}.crossfit",
                    expected="requests.folds of 2 or more",
                    found=str(self.requests.folds),
                    do="Raise it: with one fold nobody is left to learn from.",
                )
        if self.serve is not None:
            check_choice("serve", self.serve, tuple(self.variants))
        if self.rules.order_by == "value":
            self._refuse_value_without_chances()

    def _refuse_value_without_chances(self) -> None:
        """Refuse an order by what a purchase earns where no chance of one would be learned."""
        if self.ranker.probabilities.learn == "none":
            raise ConfigError(
                "rules.order_by=value",
                expected="ranker.probabilities.learn=logged or any: it takes the chance of a purchase",
                found="none",
                do="Set one of them, or rules.order_by=score.",
            )
        if EVENT[P_PURCHASE] not in self.requests.targets:
            raise ConfigError(
                "rules.order_by=value",
                expected="purchase among requests.targets: it takes the chance of one",
                found=", ".join(self.requests.targets),
                do="Add it, or set rules.order_by=score.",
            )

    def _refuse_clocks(self) -> None:
        """Refuse what would take the invented distances of an order for hours and days."""
        timed = {
            "data.real_from": self.data.real_from is not None,
            "requests.unit=period": self.requests.unit == "period",
        }
        for name, variant in self.variants.items():
            timed[f"variants.{name}.snapshot=daily"] = variant.snapshot == "daily"
            timed[f"variants.{name}.lag_hours"] = variant.lag_hours > 0
        for setting in (setting for setting, given in timed.items() if given):
            raise ConfigError(
                setting,
                expected="data.time=real",
                found="data.time=order: the times are an order, without hours or days",
                do="Leave it out, or say data.time=real where the times are real.",
            )

    def prepare(self) -> PrepareConfig:
        """What the data room needs."""
        data = self.data
        return PrepareConfig(data.time, data.real_from, data.clean, data.text, self.split, self.requests)

    @property
    def clock(self) -> bool:
        """Whether times are real."""
        return self.data.time == "real"

    @property
    def served(self) -> str:
        """The variant that is served: ``serve``; else ``default``, whose state is live; else the last."""
        return self.serve or ("default" if "default" in self.variants else list(self.variants)[-1])

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Seeds of the rerankers; the run's own where no list is given."""
        return self.seeds or (self.seed,)


def checked(overrides: Sequence[str]) -> tuple[RunConfig, DictConfig]:
    """The configuration, of whatever command, and the node it came from."""
    node = compose(with_defaults(overrides, RunConfig))
    return to_dataclass(node, RunConfig), node


def load(overrides: Sequence[str]) -> tuple[RunConfig, DictConfig]:
    """The checked configuration of a run, and the node it came from (to be shown and saved)."""
    config, node = checked(overrides)
    if config.data.source == "files" and not config.data.dir:
        raise ConfigError(
            "data.dir",
            expected="the folder of events and items",
            found="nothing",
            do="Give one: data.dir=...",
        )
    return config, node


def raw_files(config: DataConfig) -> dict[str, Path]:
    """The input files of a run by table name; none for the demo shop."""
    if config.source == "shop":
        return {}
    return paths(config.files())
