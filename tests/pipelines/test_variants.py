"""Which state a request sees under a variant, window by window."""

import numpy as np
import polars as pl
import pytest

from recsys.core.as_of import DAY_US, KEYS, OWN_KEYS, SHARED_KEYS, Policy, cut
from recsys.core.columns import CLICK, WINDOWS
from recsys.core.errors import ConfigError
from recsys.core.log import RequestArrays, make_log
from recsys.data.split import Windows
from recsys.pipelines.variants import HOUR_US, Variant, check_names, cuts_of, sight_of

N = 80  # one event every six hours: twenty days
BOUNDS = Windows(rank=8 * DAY_US, valid=12 * DAY_US, test=16 * DAY_US)


@pytest.fixture
def log():
    time = np.arange(N) * 6 * HOUR_US
    return make_log(np.arange(N) % 3, np.arange(N) % 5, time, np.full(N, CLICK))


@pytest.fixture
def requests():
    days = np.array([9.5, 13.4, 17.9, 18.0])
    time = (days * DAY_US).astype(np.int64)
    return RequestArrays(np.array([0, 1, 2, 0], np.int32), time, np.full(4, -1, np.int32))


@pytest.fixture
def window(requests):
    return np.array(WINDOWS)[BOUNDS.of(requests.time)]


def seen(log, requests, window, **options):
    snapshot = options.pop("shared_snapshot", None)
    return cuts_of(log, requests, window, BOUNDS, Variant(**options), snapshot)


def test_without_freeze_it_is_the_plain_cut(log, requests, window):
    cuts, plain = seen(log, requests, window), cut(log, requests, Policy())
    assert cuts.keys() == set(KEYS)
    for key in KEYS:
        assert cuts[key].tolist() == plain[key].tolist() == [38, 54, 72, 72]


def test_each_window_stands_still_at_its_own_freeze(log, requests, window):
    strict = seen(log, requests, window, freeze={"rank": "rank", "valid": "valid", "test": "valid"})
    refit = seen(log, requests, window, freeze={"rank": "rank", "valid": "valid", "test": "test"})
    own = cut(log, requests, Policy())["user"].tolist()
    for key in OWN_KEYS:  # a user's own events go on
        assert strict[key].tolist() == refit[key].tolist() == own
    for key in SHARED_KEYS:
        assert strict[key].tolist() == [8 * 4, 12 * 4, 12 * 4, 12 * 4]
        assert refit[key].tolist() == [8 * 4, 12 * 4, 16 * 4, 16 * 4]


def test_a_window_that_is_not_named_is_live(log, requests, window):
    cuts = seen(log, requests, window, freeze={"test": "valid"})
    assert cuts["item"].tolist() == [38, 54, 48, 48]


def test_snapshot_and_lag(log, requests, window):
    daily = seen(log, requests, window, snapshot="daily")
    assert daily["item"].tolist() == daily["user"].tolist() == [36, 52, 68, 72]
    ticks = seen(log, requests, window, shared_snapshot="daily")
    assert ticks["item"].tolist() == [36, 52, 68, 72]
    assert ticks["user"].tolist() == [38, 54, 72, 72]
    late = seen(log, requests, window, lag_hours=7.0)
    assert late["user"].tolist() == [37, 53, 71, 71]


def test_what_teaches_may_see_the_whole_shared_state(log, requests, window):
    variant = {"crossfit": {"rank": "valid"}, "freeze": {"rank": "rank", "valid": "valid", "test": "valid"}}
    plain = seen(log, requests, window, **variant)
    whole = cuts_of(log, requests, window, BOUNDS, Variant(**variant), crossfit=True)
    assert plain["item"].tolist() == [8 * 4, 12 * 4, 12 * 4, 12 * 4]
    assert whole["item"].tolist() == [12 * 4] * 4
    assert whole["user"].tolist() == plain["user"].tolist()


def test_the_order_of_windows_does_not_matter(log, requests, window):
    """Requests come back in their own places, whatever window stands first."""
    back = np.arange(4)[::-1]
    turned = RequestArrays(*(column[back] for column in requests))
    freeze = {"rank": "rank", "valid": "valid", "test": "test"}
    one = seen(log, requests, window, freeze=freeze)
    other = seen(log, turned, window[back], freeze=freeze)
    for key in KEYS:
        assert one[key][back].tolist() == other[key].tolist()


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="found 'tset'"):
        Variant(train=("tset",))
    with pytest.raises(ConfigError, match="found 'later'"):
        Variant(freeze={"test": "later"})
    with pytest.raises(ConfigError, match=r"variants.*crossfit: expected rank; found 'valid'"):
        Variant(crossfit={"valid": "test"})  # it would be measured on what it has seen
    with pytest.raises(ConfigError, match=r"crossfit: expected a start no later than that of valid"):
        Variant(crossfit={"rank": "test"})
    with pytest.raises(ConfigError, match=r"crossfit: expected one of valid, test; found 'fit'"):
        Variant(crossfit={"rank": "fit"})
    assert Variant(("rank", "valid"), stop="folds", crossfit={"rank": "test"}).crossfit == {"rank": "test"}
    with pytest.raises(ConfigError, match=r"Set stop: folds"):
        Variant(train=("rank", "valid"))
    assert Variant(train=("rank", "valid"), stop="folds").stop == "folds"
    with pytest.raises(ConfigError, match=r"variants\.sideways: expected one of default, strict"):
        check_names({"default": Variant(), "sideways": Variant()})


def test_who_is_left_out(data):
    plain, variant = Variant(), Variant(stop="folds", crossfit={"rank": "valid"})
    assert sight_of(data, plain).left_out is None
    sight = sight_of(data, variant)
    assert sight.left_out is not None
    window, fold = data.requests["window"].cast(pl.String).to_numpy(), data.requests["fold"].to_numpy()
    user = data.requests["user"].to_numpy()
    teaches = window == "rank"
    assert teaches.any() and (user[teaches] >= 0).any()
    assert sight.left_out.of_request.tolist() == np.where(teaches, fold, -1).tolist()
    known = user >= 0
    assert sight.left_out.of_user[user[known]].tolist() == fold[known].tolist()
    before = sight_of(data, plain).cuts
    for key in KEYS:  # what is measured sees what it saw
        assert sight.cuts[key][~teaches].tolist() == before[key][~teaches].tolist()
    assert set(sight.cuts["item"][teaches].tolist()) == {int((data.log.time < data.windows.valid).sum())}
