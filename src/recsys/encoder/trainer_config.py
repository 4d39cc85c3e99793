"""How long and how fast the encoder is trained; no torch here."""

from dataclasses import dataclass

from recsys.core.checks import MOST_SEED, Range, at_least, check_choice, check_numbers


@dataclass(frozen=True)
class TrainerConfig:
    """How long and how fast.

    Parameters
    ----------
    max_epochs : int
        Main epochs (beside warm-up and polish); 0: the preset's own (top 1, full 1, others 4).
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
        Ends training at the next step after so long; 0: no limit. Slices share it: each may take an equal
        part of what those before it have left.
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
