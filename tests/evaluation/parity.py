"""A toy world with a known answer: even users like even items, odd users odd ones, and all are as popular."""

import numpy as np

from recsys.core.columns import CLICK
from recsys.core.log import EventLog, RequestArrays, make_log
from recsys.metrics.ranking import lists, per_request, positives

N_USERS, N_ITEMS = 24, 20
DAY = 86_400_000_000


def parity_log(events_each: int = 8, seed: int = 0) -> EventLog:
    """Every user clicks some items of its own parity; users take turns, a minute apart."""
    rng = np.random.default_rng(seed)
    taken = [
        rng.permutation(np.arange(user % 2, N_ITEMS, 2))[:events_each].tolist() for user in range(N_USERS)
    ]
    rows = [(user, taken[user][turn]) for turn in range(events_each) for user in range(N_USERS)]
    user, item = (np.array(column) for column in zip(*rows, strict=True))
    return make_log(user, item, np.arange(len(user)) * 60_000_000, np.full(len(user), CLICK))


def parity_requests(log: EventLog) -> RequestArrays:
    """One request of every user after the last event."""
    return RequestArrays(
        np.arange(N_USERS, dtype=np.int32),
        np.full(N_USERS, int(log.time[-1]) + 1, np.int64),
        np.full(N_USERS, -1, np.int32),
    )


def parity_vectors() -> np.ndarray:
    """Unit vectors of which the first two numbers tell the parity, the others nothing."""
    rng = np.random.default_rng(5)
    vectors = np.zeros((N_ITEMS, 4), np.float32)
    vectors[np.arange(N_ITEMS), np.arange(N_ITEMS) % 2] = 1.0
    vectors[:, 2:] = rng.normal(size=(N_ITEMS, 2)) * 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def parity_auc(scores: np.ndarray) -> float:
    """Mean AUC of scores (users, items) for the items of each user's own parity."""
    likes = np.arange(N_USERS)[:, None] % 2 == np.arange(N_ITEMS)[None, :] % 2
    offsets = np.arange(N_USERS + 1) * N_ITEMS
    found = positives(lists(offsets, np.asarray(scores, float).ravel(), likes.ravel().astype(float)))
    return float(np.mean(per_request(found, "auc")))
