"""The true preference: shapes, a hand-computed value, and the way to disk and back."""

from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.data.sources.shop_truth import YEAR_US, TruePreference, chance, on_grid


def small() -> TruePreference:
    return TruePreference(
        user_id=np.array(["u0", "u1"]),
        item_id=np.array(["i0", "i1", "i2"]),
        tastes=np.array([[2.0, 0.0, -1.0, 0.5], [0.0, 1.0, -1.0, 0.5]], np.float32),
        attributes=np.array([[1, 0, 1, 0], [0, 1, 1, 2], [1, 0, 1, -1]], np.float32),
        season=np.array([[0.5, 0.0], [0.0, 0.0], [-0.5, 0.0]], np.float32),
        names=np.array(["rustic", "glass", "anything", "quality"]),
    )


def test_utility_by_hand() -> None:
    time = np.array([0, 0, int(YEAR_US / 2)])
    got = small().utility(np.array([0, 0, 1]), np.array([0, 2, 0]), time)
    assert got == pytest.approx([2.0 - 1.0 + 0.5, 2.0 - 1.0 - 0.5 - 0.5, -1.0 - 0.5])


def test_score_is_the_product_of_the_funnel() -> None:
    truth = small()
    users, time = np.array([0, 1]), np.array([0, int(YEAR_US / 3)])
    gain = truth.score(users, time)
    assert gain.shape == (2, 3) and (gain > 0).all() and (gain < 1).all()
    pairs = truth.utility(np.repeat(users, 3), np.tile(np.arange(3), 2), np.repeat(time, 3))
    product = chance(pairs, 0) * chance(pairs, 1) * chance(pairs, 2)
    assert gain.ravel() == pytest.approx(product, abs=1e-5)
    assert truth.score(users, time, np.array([2, 0])) == pytest.approx(gain[:, [2, 0]])
    assert truth.score(users, time[:1])[0] == pytest.approx(gain[0])


def test_the_season_moves_the_score() -> None:
    winter, summer = (
        small().score(np.array([0]), np.array([0])),
        small().score(np.array([0]), np.array([YEAR_US / 2])),
    )
    assert winter[0, 0] > summer[0, 0] and winter[0, 2] < summer[0, 2]
    assert winter[0, 1] == summer[0, 1]


def test_chances_rise_with_utility_up_to_their_ceiling() -> None:
    utility = np.linspace(-6, 30, 50)
    for step, most in enumerate((1.0, 0.65, 0.6)):
        values = chance(utility, step)
        assert (np.diff(values) >= 0).all() and values[-1] == pytest.approx(most, abs=1e-5)


def test_the_grid_makes_sums_exact() -> None:
    values = on_grid(np.random.default_rng(0).normal(size=1000), 1024)
    assert (values * 1024 == np.rint(values * 1024)).all()
    assert values.sum() == values[::-1].sum()


def test_words_name_what_a_user_likes() -> None:
    assert small().words(0, 1) == ["rustic"] and small().words(1, 2) == ["glass", "rustic"]


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    truth = small()
    truth.save(tmp_path)
    again = TruePreference.load(tmp_path)
    for name, value in vars(truth).items():
        assert getattr(again, name).dtype == value.dtype and (getattr(again, name) == value).all()


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"truth.npz: expected an archive .*; found no such file. Run"):
        TruePreference.load(tmp_path)
    (tmp_path / "truth.npz").write_bytes(b"junk")
    with pytest.raises(BundleError, match=r"truth.npz: .*found 4 bytes that are none, or a part of one"):
        TruePreference.load(tmp_path)
