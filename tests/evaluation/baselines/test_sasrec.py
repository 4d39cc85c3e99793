"""SASRec: it learns what follows what, sees nothing that comes later, and a seed is a run."""

import numpy as np
import pytest
import torch

from recsys.core.columns import CLICK, IMPRESSION
from recsys.core.log import HISTORY, make_log
from recsys.evaluation.baselines.config import SasrecConfig
from recsys.evaluation.baselines.sasrec import (
    ROWS,
    TARGETS,
    Sasrec,
    _batch,
    _reciprocal_ranks,
    learn_sasrec,
    pieces,
    sequences,
)

N_ITEMS = 9
TINY = SasrecConfig(dim=16, heads=2, blocks=1, dropout=0.0, lr=0.01, batch_targets=64, max_epochs=25)
SHORT = SasrecConfig(dim=8, heads=1, blocks=1, batch_targets=64, max_epochs=2)


def chain(n_users=40, length=7):
    """Everybody goes from an item to the next, around the circle, from any."""
    start = np.random.default_rng(0).integers(0, N_ITEMS, n_users)
    item = (start[:, None] + np.arange(length)) % N_ITEMS
    user = np.repeat(np.arange(n_users), length)
    return make_log(user, item.ravel(), np.tile(np.arange(length), n_users), np.full(len(user), CLICK))


def history(*newest_first):
    return np.array([[*newest_first, *[-1] * (HISTORY - len(newest_first))]], np.int32)


@pytest.fixture(scope="module")
def score():
    return learn_sasrec(chain(), N_ITEMS, TINY, seed=0)


def test_it_learns_what_follows_what(score):
    for last in range(N_ITEMS):
        for longer in (
            [last],
            [last, (last - 1) % N_ITEMS],
            [last, (last - 1) % N_ITEMS, (last - 2) % N_ITEMS],
        ):
            assert int(score(np.zeros(1), history(*longer)).argmax()) == (last + 1) % N_ITEMS


def test_the_last_item_and_not_the_set_of_them_says_what_comes_next(score):
    one, other = score(np.zeros(2), np.vstack([history(4, 3), history(3, 4)]))
    assert int(one.argmax()) == 5
    assert not np.allclose(one, other)


def test_a_seed_is_a_run():
    before = torch.random.get_rng_state()
    one, same, other = (
        learn_sasrec(chain(), N_ITEMS, SHORT, seed)(np.zeros(1), history(2)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)  # what else is random goes its own way


def test_later_items_do_not_change_earlier_states():
    torch.manual_seed(0)
    model = Sasrec(N_ITEMS, TINY).double().eval()
    codes = torch.tensor([[9, 1, 2, 3, 4], [9, 1, 2, 8, 0]])
    with torch.no_grad():
        states, shorter = model(codes), model(codes[:1, :3])
    torch.testing.assert_close(states[0, :3], states[1, :3], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(shorter[0], states[0, :3], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(states[0, 3], states[1, 3])


def test_a_short_history_beside_a_long_one_is_read_as_it_is_alone(score):
    rows = np.vstack([history(3), history(*range(9), *range(9)), history(1, 2), np.full((1, HISTORY), 4)])
    together = score(np.zeros(4), rows)
    for row in range(4):
        np.testing.assert_allclose(score(np.zeros(1), rows[row : row + 1])[0], together[row], rtol=1e-10)


def test_attention_never_sees_more_rows_than_it_has_room_for(score, monkeypatch):
    seen = []
    forward = Sasrec.forward
    monkeypatch.setattr(
        Sasrec, "forward", lambda self, codes: seen.append(len(codes)) or forward(self, codes)
    )
    rows = np.vstack([history(row % N_ITEMS) for row in range(2 * ROWS + 3)])
    together = score(np.zeros(len(rows)), rows)
    assert seen == [ROWS, ROWS, 3]
    np.testing.assert_allclose(together, together[:N_ITEMS][np.arange(len(rows)) % N_ITEMS], rtol=1e-10)


def test_an_unknown_item_in_a_history_is_passed_over(score):
    assert np.array_equal(score(np.zeros(1), history(3, -1, 2)), score(np.zeros(1), history(3, 2)))


def test_sequences_are_interactions_in_order():
    rows = [(2, 5, CLICK), (0, 1, CLICK), (2, 4, IMPRESSION), (2, -1, CLICK), (2, 5, CLICK), (0, 0, CLICK)]
    user, item, kind = np.array([*rows, (-1, 3, CLICK), (1, 7, IMPRESSION)]).T
    found = sequences(make_log(user, item, np.arange(8), kind))
    assert [part.tolist() for part in found] == [[1, 0], [5, 5]]


def test_a_long_sequence_is_cut_from_its_end():
    parts = pieces(np.arange(2 * TARGETS + 3))
    assert [len(part) for part in parts] == [TARGETS, TARGETS, 3]
    assert np.concatenate(parts[::-1]).tolist() == list(range(2 * TARGETS + 3))
    assert pieces(np.arange(0)) == []


def test_every_item_is_a_target_after_those_before_it():
    codes, targets = _batch([np.array([4, 2, 7]), np.array([5])], start=9)
    assert codes.tolist() == [[9, 4, 2], [9, 9, 9]]
    assert targets.tolist() == [[4, 2, 7], [5, -1, -1]]


def test_reciprocal_ranks_by_hand():
    """Item vectors 0, 1, 2, 3 on a line, and states that are all 1: the last item is the best."""
    model = Sasrec(4, SasrecConfig(dim=1, heads=1, blocks=1))
    with torch.no_grad():
        model.items.weight[:] = torch.tensor([[0.0], [1.0], [2.0], [3.0], [0.0]])
    model.forward = lambda codes: torch.ones(*codes.shape, 1)
    parts = [np.array([0, 3]), np.array([1]), np.array([3, 2, 0])]  # ranks 1, 3, 4
    assert abs(_reciprocal_ranks(model, parts, size=2) - (1 + 1 / 3 + 1 / 4) / 3) < 1e-6
