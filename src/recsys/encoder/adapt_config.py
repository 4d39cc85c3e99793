"""What can be set about first steps on the catalogue's texts; no torch here."""

from dataclasses import dataclass

from recsys.core.checks import above, at_least, check_numbers


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
