"""A variant: how late the state is that requests see, and which windows teach the reranker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import KEYS, Cuts, Policy, Snapshot, cut
from recsys.core.checks import at_least, check_choice, check_numbers
from recsys.core.columns import VARIANTS, WINDOWS
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, RequestArrays
from recsys.data.split import Windows

Array = NDArray[Any]
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Variant:
    """One way of evaluating.

    Parameters
    ----------
    train : tuple of str
        Windows whose requests teach the reranker.
    learn : {"retrieved", "logged", "both"}
        The lists that teach it: the rows that candidates gave, the lists that were shown (clicks there
        say what was preferred, not what was shown), or both. Where there is one kind only, that one.
    stop : {"valid", "folds"}
        What chooses the number of trees: the requests of *valid*, or a fold of the users of ``train``
        (after which all of ``train`` is learned with that many trees).
    freeze : mapping of window to window
        For the requests of a window, the window at whose start the state that users share stands
        still; a request still sees its own user's events. A window that is not named is live.
    snapshot : {"request", "daily"}
        State to the second, or as of the last midnight.
    lag_hours : float
        How late events reach the state.
    """

    train: tuple[str, ...] = ("rank",)
    learn: Literal["retrieved", "logged", "both"] = "retrieved"
    stop: Literal["valid", "folds"] = "valid"
    freeze: Mapping[str, str] = field(default_factory=dict)
    snapshot: Literal["request", "daily"] = "request"
    lag_hours: float = 0.0

    def __post_init__(self) -> None:
        for name in self.train:
            check_choice("variants.*.train", name, WINDOWS)
        for name in (*self.freeze, *self.freeze.values()):
            check_choice("variants.*.freeze", name, WINDOWS)
        check_numbers(self, "variants.*", lag_hours=at_least(0))
        if self.stop == "valid" and "valid" in self.train:
            raise ConfigError(
                "variants.*.stop",
                expected="folds, where valid itself is learned",
                found="valid",
                do="Set stop: folds for that variant.",
            )


def check_names(variants: Mapping[str, Variant]) -> None:
    """Refuse names outside the fixed vocabulary."""
    for name in variants:
        check_choice(f"variants.{name}", name, VARIANTS)


def cuts_of(
    log: EventLog,
    requests: RequestArrays,
    window: Array,
    windows: Windows,
    variant: Variant,
    shared_snapshot: Snapshot | None = None,
) -> Cuts:
    """`as_of.cut` of all requests, each window under its own freeze.

    Parameters
    ----------
    window : array of str, shape (requests,)
        The window of each request.
    shared_snapshot : {"request", "daily"}, optional
        "daily" for candidate ticks.
    """
    out = {key: np.zeros(len(requests.user), np.int64) for key in KEYS}
    for name in WINDOWS:
        here = np.flatnonzero(window == name)
        frozen_at = variant.freeze.get(name)
        policy = Policy(
            lag_us=int(variant.lag_hours * HOUR_US),
            snapshot=variant.snapshot,
            shared_snapshot=shared_snapshot,
            freeze_us=None if frozen_at is None else windows.start(frozen_at),
        )
        found = cut(log, RequestArrays(*(column[here] for column in requests)), policy)
        for key in KEYS:
            out[key][here] = found[key]
    return out
