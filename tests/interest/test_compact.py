"""Vectors in less room: hand-computed codes, the bound of the rounding, and what is missing stays missing."""

from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError, ConfigError
from recsys.interest.compact import VectorsConfig, compact, expand, load_compact, save_compact

HAND = np.array([[0.6, -0.8, 0.0], [np.nan] * 3, [0.0, 0.0, 1.0]], np.float32)


def test_eight_bits_by_hand() -> None:
    made = compact(HAND, VectorsConfig(dtype="int8"))
    assert made.values.dtype == np.int8
    assert made.values.tolist() == [[95, -127, 0], [0, 0, 0], [0, 0, 127]]  # .6 / .8 * 127 = 95.25
    np.testing.assert_allclose(made.scale, [0.8 / 127, np.nan, 1 / 127], rtol=1e-6)
    np.testing.assert_allclose(expand(made, 3)[0], [95 * 0.8 / 127, -0.8, 0.0], rtol=1e-6)


def test_fewer_dimensions_have_length_one_again_and_a_row_of_nothing_stays() -> None:
    made = compact(HAND, VectorsConfig(dims=2, dtype="float32"))
    np.testing.assert_allclose(expand(made, 3), [[0.6, -0.8, 0], [np.nan] * 3, [0, 0, 0]], rtol=1e-6)
    made = compact(HAND, VectorsConfig(dims=1, dtype="int8"))
    np.testing.assert_allclose(expand(made, 3), [[1, 0, 0], [np.nan] * 3, [0, 0, 0]], rtol=1e-6)


def test_all_of_it_in_float32_is_the_same_bits() -> None:
    assert np.array_equal(expand(compact(HAND, VectorsConfig(dtype="float32")), 3), HAND, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_rounding_moves_a_number_by_half_a_step_at_most(dtype: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    save_compact(compact(vectors, VectorsConfig(dtype=dtype)), tmp_path)
    again = expand(load_compact(tmp_path), 16)
    step = np.abs(vectors).max(1, keepdims=True) / 127 if dtype == "int8" else 2.0**-11
    assert (np.abs(again - vectors) <= 0.501 * step).all()
    assert not np.array_equal(again, vectors)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vectors.dims: expected 0 \(all\) to 3.*found 4"):
        compact(HAND, VectorsConfig(dims=4))
    with pytest.raises(ConfigError, match=r"vectors\.dtype"):
        VectorsConfig(dtype="int4")
    save_compact(compact(HAND, VectorsConfig()), tmp_path)
    np.save(tmp_path / "scale.npy", np.ones(2, np.float32))
    with pytest.raises(BundleError, match=r"scale.npy: expected an array of float32, shape \(3\)"):
        load_compact(tmp_path)
    np.save(tmp_path / "values.npy", np.ones((3, 3), np.int64))
    with pytest.raises(BundleError, match="expected an array of int8"):
        save = np.ones(3, np.float32)
        np.save(tmp_path / "scale.npy", save)
        load_compact(tmp_path)
