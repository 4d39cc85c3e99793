"""The cut against a twin that looks at every event, and pairs against requests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.as_of import DAY_US, KEYS, OWN_KEYS, Policy, before, cut, pair_heads
from recsys.core.columns import CLICK, INTERACTIONS
from recsys.core.log import RequestArrays, heads, make_log
from recsys.data.pairs import PairsConfig, make_pairs

pytestmark = pytest.mark.kernel
STEP = DAY_US // 3
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 4), st.integers(0, 12), st.integers(0, 5), st.integers(-1, 3)
    ),
    min_size=1,
    max_size=30,
)
ASKED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 13), st.integers(-1, 4)), min_size=1, max_size=6)
POLICIES = st.builds(
    Policy,
    lag_us=st.sampled_from([0, STEP, 2 * STEP + 1]),
    snapshot=st.sampled_from(["request", "daily"]),
    shared_snapshot=st.sampled_from([None, "request", "daily"]),
    freeze_us=st.none() | st.integers(0, 13).map(lambda n: n * STEP),
)


def build(events):  # type: ignore[no-untyped-def]
    user, item, step, kind, request = (list(column) for column in zip(*events, strict=True))
    return make_log(user, item, [s * STEP for s in step], kind, request=request)


def twin(log, time: int, request: int, policy: Policy, key: str) -> int:  # type: ignore[no-untyped-def]
    """Count event by event until the first that must be hidden."""
    own = key in OWN_KEYS
    daily = (policy.snapshot if own else policy.shared_snapshot or policy.snapshot) == "daily"
    seen = 0
    for when, owner in zip(log.time.tolist(), log.request.tolist(), strict=True):
        arrives = when + policy.lag_us
        moment = time - time % DAY_US if daily else time
        late = arrives >= moment
        frozen = not own and policy.freeze_us is not None and when >= policy.freeze_us
        if late or frozen or (request >= 0 and owner == request):
            break
        seen += 1
    return seen


@given(EVENTS, ASKED, POLICIES)
@settings(deadline=None, max_examples=80)
def test_cut_against_the_twin(events, asked, policy: Policy) -> None:  # type: ignore[no-untyped-def]
    log = build(events)
    users, steps, requests = (np.array(column) for column in zip(*asked, strict=True))
    arrays = RequestArrays(users.astype(np.int32), steps.astype(np.int64) * STEP, requests.astype(np.int32))
    found = cut(log, arrays, policy)
    for key in KEYS:
        expected = [
            twin(log, int(t), int(r), policy, key) for t, r in zip(arrays.time, arrays.request, strict=True)
        ]
        assert found[key].tolist() == expected


@given(EVENTS)
@settings(deadline=None, max_examples=60)
def test_a_pair_sees_what_a_request_of_its_moment_sees(events) -> None:  # type: ignore[no-untyped-def]
    log = build(events)
    for i, head in enumerate(pair_heads(log).tolist()):
        own = log.request[i]
        first = next((j for j, r in enumerate(log.request) if own >= 0 and r == own), len(log.user))
        visible = min(before(log, int(log.time[i])), first)
        assert head == heads(log, log.user[i : i + 1], np.array([visible]))[0]


@given(EVENTS, st.integers(0, 13))
@settings(deadline=None, max_examples=60)
def test_pairs_are_the_distinct_wishes_before_rank(events, step: int) -> None:  # type: ignore[no-untyped-def]
    log = build(events)
    pairs = make_pairs(log, step * STEP, PairsConfig(need_history=False))
    wishes = set()
    for i in range(before(log, step * STEP)):
        if int(log.kind[i]) in INTERACTIONS:
            request = int(log.request[i]) if log.request[i] >= 0 else f"alone {i}"
            wishes.add((request, int(log.user[i]), int(log.item[i])))
    assert len(pairs.item) == len(wishes)
    assert (np.diff(pairs.position) > 0).all(), "in log order, each place once"
    assert log.item[pairs.position].tolist() == pairs.item.tolist()
    assert log.user[pairs.position].tolist() == pairs.user.tolist()
    weights = {1: 1.0, 2: 2.0, 3: 3.0, 4: 1.0}
    assert pairs.weight.tolist() == [weights[kind] for kind in pairs.kind.tolist()]


@given(EVENTS, st.integers(0, 13))
@settings(deadline=None, max_examples=40)
def test_pairs_that_need_a_history_are_the_pairs_with_one(events, step: int) -> None:  # type: ignore[no-untyped-def]
    events = [(*event[:3], CLICK, -1) for event in events]  # one event, one pair
    log = build(events)
    every = make_pairs(log, step * STEP, PairsConfig(need_history=False))
    some = make_pairs(log, step * STEP, PairsConfig())
    for whole, part in zip(every, some, strict=True):
        assert whole[every.head >= 0].tolist() == part.tolist()
