"""A variant: how late the state is that requests see, and which windows teach the reranker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import KEYS, Cuts, LeftOut, Policy, Snapshot, cut
from recsys.core.checks import at_least, check_choice, check_numbers
from recsys.core.columns import VARIANTS, WINDOWS
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, RequestArrays
from recsys.data.prepare import Prepared
from recsys.data.requests import request_arrays
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
    crossfit : mapping of window to window
        For the requests of a window of ``train``, the window up to whose start the shared state that
        describes them is whole, less the events of the request's own fold of users. A reranker whose
        state stands still while it serves then learns from columns with about as much behind them as those
        it will score. They hold what others did later, which served columns never do, and lack what the
        user did before, which served columns have: measure whether it pays. Only for windows whose own and
        all later ones before that start teach as well, so that nothing measured was learned. Candidates
        stay as ``freeze`` has them.
    snapshot : {"request", "daily"}
        State to the second, or as of the last midnight.
    lag_hours : float
        How late events reach the state.
    """

    train: tuple[str, ...] = ("rank",)
    learn: Literal["retrieved", "logged", "both"] = "retrieved"
    stop: Literal["valid", "folds"] = "valid"
    freeze: Mapping[str, str] = field(default_factory=dict)
    crossfit: Mapping[str, str] = field(default_factory=dict)
    snapshot: Literal["request", "daily"] = "request"
    lag_hours: float = 0.0

    def __post_init__(self) -> None:
        for name in self.train:
            check_choice("variants.*.train", name, WINDOWS)
        for name in (*self.freeze, *self.freeze.values()):
            check_choice("variants.*.freeze", name, WINDOWS)
        for name, until in self.crossfit.items():
            check_choice("variants.*.crossfit", name, self.train)
            check_choice("variants.*.crossfit", until, WINDOWS[WINDOWS.index(name) + 1 :])
            unlearned = [w for w in WINDOWS[1 : WINDOWS.index(until)] if w not in self.train]
            if unlearned:
                raise ConfigError(
                    "variants.*.crossfit",
                    expected=f"a start no later than that of {unlearned[0]}, which is measured",
                    found=until,
                    do=f"Choose {unlearned[0]}, or learn {unlearned[0]} as well.",
                )
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
    *,
    crossfit: bool = False,
) -> Cuts:
    """`as_of.cut` of all requests, each window under its own freeze.

    Parameters
    ----------
    window : array of str, shape (requests,)
        The window of each request.
    shared_snapshot : {"request", "daily"}, optional
        "daily" for candidate ticks.
    crossfit : bool
        Follow the variant's ``crossfit``: cuts for `sight_of` alone, which says whom they are without.
    """
    out = {key: np.zeros(len(requests.user), np.int64) for key in KEYS}
    for name in WINDOWS:
        here = np.flatnonzero(window == name)
        frozen_at = variant.freeze.get(name)
        until = variant.crossfit.get(name) if crossfit else None
        policy = Policy(
            lag_us=int(variant.lag_hours * HOUR_US),
            snapshot=variant.snapshot,
            shared_snapshot=shared_snapshot,
            freeze_us=None if frozen_at is None else windows.start(frozen_at),
            crossfit_us=None if until is None else windows.start(until),
        )
        found = cut(log, RequestArrays(*(column[here] for column in requests)), policy)
        for key in KEYS:
            out[key][here] = found[key]
    return out


class Sight(NamedTuple):
    """What describes each request under a variant: how much it sees, and whom that is without."""

    cuts: Cuts
    left_out: LeftOut | None = None


def sight_of(data: Prepared, variant: Variant) -> Sight:
    """What the rows of each request are described by, cross-fitted where the variant says so."""
    requests = request_arrays(data.requests)
    window, fold = data.requests[c.WINDOW].cast(pl.String).to_numpy(), data.requests[c.FOLD].to_numpy()
    cuts = cuts_of(data.log, requests, window, data.windows, variant, crossfit=True)
    if not variant.crossfit:
        return Sight(cuts)
    of_user = np.full(len(data.users), -1, np.int16)
    known = requests.user >= 0
    of_user[requests.user[known]] = fold[known]
    left_out = np.where(np.isin(window, list(variant.crossfit)), fold, -1).astype(np.int16)
    return Sight(cuts, LeftOut(of_user, left_out))
