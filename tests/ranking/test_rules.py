"""The rules of a list: by hand, and as laws over random lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import ConfigError
from recsys.ranking.rules import RulesConfig, arrange, cosine, expected_value, same_value

NAN = np.nan


def test_without_rules_the_order_stands():
    order = np.array([0.1, 0.9, 0.5, 0.9])
    assert arrange(order).tolist() == [1, 3, 2, 0]
    assert arrange(order, 2).tolist() == [1, 3]
    assert arrange(np.zeros(0)).tolist() == []


def test_expected_value():
    worth = expected_value(np.array([0.1, 0.02, 0.5]), np.array([10.0, 100.0, NAN]))
    assert worth.tolist() == [1.0, 2.0, -np.inf]
    assert arrange(worth).tolist() == [1, 0, 2]  # what nobody can price stands last


def test_each_rule_by_hand():
    order = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    kind = np.array([0.0, 0.0, 0.0, 1.0, NAN])
    assert arrange(order, caps=[(kind, 1)]).tolist() == [0, 3, 4]
    assert arrange(order, caps=[(kind, 2)]).tolist() == [0, 1, 3, 4]
    assert arrange(order, pins=[3, 2]).tolist() == [3, 2, 0, 1, 4]
    assert arrange(order, pins=[3, 2], caps=[(kind, 1)]).tolist() == [3, 2, 4]  # a pin counts
    assert arrange(order, pins=[1, 2], caps=[(kind, 1)]).tolist() == [1, 3, 4]  # a cap holds for pins too
    barred = np.array([True, False, False, True, False])
    assert arrange(order, barred=barred, pins=[3]).tolist() == [1, 2, 4]
    assert arrange(order, barred=barred).tolist() == [1, 2, 4]


def test_diversity_by_hand():
    """Worth 1, .9, .5, 0 after stretching; 0 and 1 are alike, so 1 falls behind 2 at half the weight."""
    order = np.array([10.0, 9.0, 5.0, 0.0])
    like = same_value(np.array([7.0, 7.0, 8.0, 9.0]))
    assert arrange(order, diversity=0.5, likeness=like).tolist() == [0, 2, 3, 1]
    assert arrange(order, diversity=0.2, likeness=like).tolist() == [0, 1, 2, 3]


def test_likeness():
    same = same_value(np.array([1.0, 1.0, NAN, NAN]))
    assert [same(row).tolist() for row in range(4)] == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    found = cosine(np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0], [1.0, 1.0]], np.float32))
    assert found(0).tolist() == pytest.approx([1.0, 0.0, 0.0, np.sqrt(0.5)])


def plain(order, k, barred, pins, caps, diversity, like):
    """The same in plain words: one place after another."""
    n, listed, waiting = len(order), [], list(pins)
    may = [i for i in range(n) if not barred[i]]
    low, high = (min(order[i] for i in may), max(order[i] for i in may)) if may else (0, 1)

    def fits(i):
        return (
            i in may
            and i not in listed
            and all(np.isnan(v[i]) or sum(v[j] == v[i] for j in listed) < most for v, most in caps)
        )

    while len(listed) < k:
        pinned = next((i for i in waiting if fits(i)), None)
        if pinned is None:
            open_ = [i for i in range(n) if fits(i)]
            if not open_:
                break

            def worth(i):
                mine = (order[i] - low) / ((high - low) or 1.0)
                if not listed:
                    return mine
                return (1 - diversity) * mine - diversity * max(like(j)[i] for j in listed)

            pinned = max(open_, key=lambda i: (worth(i), -i))
        listed.append(pinned)
    return listed


@st.composite
def lists(draw):
    n = draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    values = [np.where(rng.random(n) < 0.2, NAN, rng.integers(0, 3, n)).astype(float) for _ in range(2)]
    return {
        "order": rng.permutation(n) * 1.0,  # whole numbers, no ties
        "k": draw(st.integers(1, 10)),
        "barred": rng.random(n) < 0.2,
        "pins": rng.permutation(n)[: rng.integers(0, 3)].tolist(),
        "caps": [(values[0], draw(st.integers(1, 3)))] if draw(st.booleans()) else [],
        "diversity": draw(st.sampled_from([0.0, 0.25, 0.5])),
        "likeness": same_value(values[1]),
    }


def made(case):
    return arrange(
        case["order"], case["k"], **{name: case[name] for name in case if name not in ("order", "k")}
    )


@given(lists())
@settings(max_examples=150, deadline=None)
def test_equals_its_plain_twin_and_keeps_the_laws(case):
    found = made(case).tolist()
    assert found == plain(*case.values())
    assert len(set(found)) == len(found) <= case["k"]
    assert not case["barred"][found].any()
    for value, most in case["caps"]:
        held = value[found]
        assert all((held == v).sum() <= most for v in held[~np.isnan(held)])
    standing = [i for i in found if i in case["pins"]]
    if not case["caps"]:  # pins that may stand come first, in their order
        wanted = [i for i in case["pins"] if not case["barred"][i]][: case["k"]]
        assert found[: len(wanted)] == wanted == standing


@given(lists(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_rows_in_another_order_give_the_same_list(case, seed):
    n = len(case["order"])
    turn = np.random.default_rng(seed).permutation(n)
    place = np.argsort(turn)  # where each row went
    case["order"] = case["order"] + (0.0 if case["diversity"] == 0 else np.linspace(0, 0.01, n))
    turned = {
        **case,
        "order": case["order"][turn],
        "barred": case["barred"][turn],
        "pins": place[case["pins"]].tolist() if case["pins"] else [],
        "caps": [(value[turn], most) for value, most in case["caps"]],
        "likeness": lambda row: case["likeness"](turn[row])[turn],
    }
    if case["diversity"]:  # equal worths keep the order in which they come
        case["diversity"] = turned["diversity"] = 0.1234567
    assert turn[made(turned)].tolist() == made(case).tolist()


@given(lists())
@settings(max_examples=60, deadline=None)
def test_a_list_that_keeps_the_rules_stays_as_it_is(case):
    case |= {"diversity": 0.0, "likeness": None}
    first = made(case)
    again = arrange(
        case["order"][first],
        case["k"],
        barred=case["barred"][first],
        pins=[first.tolist().index(i) for i in case["pins"] if i in first],
        caps=[(value[first], most) for value, most in case["caps"]],
    )
    assert again.tolist() == list(range(len(first)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"diversity": 1.0}, "rules.diversity: expected at least 0 and below 1; found 1.0"),
        ({"caps": {"brand": 0}}, "rules.caps.brand: expected at least 1; found 0"),
        ({"pins": ("a", "b"), "exclude": ("b",)}, "rules.pins: expected items once each, .*; found b"),
        ({"pins": ("a", "a")}, "rules.pins: expected items once each"),
    ],
)
def test_rules_that_cannot_work_are_refused(fields, told):
    with pytest.raises(ConfigError, match=told):
        RulesConfig(**fields)


def test_whether_there_is_a_rule():
    assert not RulesConfig().any
    assert not RulesConfig(worth="margin", diversity_by="brand").any
    assert RulesConfig(order_by="value").any and RulesConfig(exclude=("a",)).any
    assert RulesConfig(caps={"brand": 2}, diversity=0.3, diversity_by="category").columns == (
        "brand",
        "category",
    )
