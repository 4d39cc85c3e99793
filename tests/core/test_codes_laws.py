"""Laws of the index: codes never move, not by growing, not by saving; unknown stays unknown."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core import codes as module
from recsys.core.codes import Codes, hash_strings
from recsys.core.errors import BundleError

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore:overflow encountered")]

NAMES = st.lists(st.text(max_size=4), unique=True, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_growing_step_by_step_is_growing_at_once(batches: list[list[str]]) -> None:
    flat = list(dict.fromkeys(name for batch in batches for name in batch))
    grown = Codes.build(batches[0])
    for batch in batches[1:]:
        before = grown.decode(range(len(grown)))
        grown.extend(batch)
        assert grown.decode(range(len(before))) == before, "what had a code keeps it"
    whole = Codes.build(flat)
    assert len(grown) == len(whole)
    assert grown.decode(range(len(flat))) == flat
    assert grown.encode(flat).tolist() == whole.encode(flat).tolist() == list(range(len(flat)))


def test_saving_between_two_growths_changes_no_code(tmp_path: Path) -> None:
    codes = Codes.build(["a", "b"])
    codes.extend(["c"])
    codes.save(tmp_path / "one")
    assert codes.extend(["d"]).tolist() == [3], "saving does not end growing"
    again = Codes.load(tmp_path / "one")
    assert again.extend(["e", "a"]).tolist() == [3, 0]
    again.save(tmp_path / "two")
    assert Codes.load(tmp_path / "two").decode(range(4)) == ["a", "b", "c", "e"]
    assert Codes.load(tmp_path / "one").decode(range(3)) == ["a", "b", "c"], "the first folder stands"


def test_an_index_can_be_saved_over_itself(tmp_path: Path) -> None:
    Codes.build([f"name {i}" for i in range(20)]).save(tmp_path)
    codes = Codes.load(tmp_path)
    codes.extend(["more"])
    codes.save(tmp_path)
    assert Codes.load(tmp_path).encode(["name 7", "more", "less"]).tolist() == [7, 20, -1]


def test_an_empty_index_survives_the_disk(tmp_path: Path) -> None:
    Codes.build([]).save(tmp_path)
    codes = Codes.load(tmp_path)
    assert len(codes) == 0
    assert codes.encode(["x", ""]).tolist() == [-1, -1]
    assert codes.decode([]) == []
    assert codes.extend([""]).tolist() == [0]


def test_strings_that_begin_alike_or_look_alike_are_told_apart() -> None:
    names = ["a", "aa", "aaa", "A", "a ", " a", "a\n", "\u00e9", "e\u0301", "\u202ea", "\U0001f9f8"]
    codes = Codes.build(names)
    assert codes.encode(names).tolist() == list(range(len(names)))
    assert codes.decode([7, 8]) == ["\u00e9", "e\u0301"], "two spellings of one letter stay two names"


def test_colliding_hashes_in_what_was_added_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_hash_all", lambda blob: np.full(len(blob.offsets) - 1, 7, np.uint64))
    codes = Codes.build(["a", "b"])
    assert codes.extend(["c", "b", "d"]).tolist() == [2, 1, 3]
    codes.save(tmp_path)
    again = Codes.load(tmp_path)
    assert again.encode(["d", "c", "b", "a", "z"]).tolist() == [3, 2, 1, 0, -1]
    with pytest.raises(ValueError, match="'a' stands twice"):
        Codes.build(["b", "a", "a"])


def test_half_the_names_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(blob: module._Blob) -> np.ndarray:
        return (np.diff(blob.offsets) % 3).astype(np.uint64)  # the length modulo three

    monkeypatch.setattr(module, "_hash_all", poor)
    names = ["", "a", "b", "aa", "bb", "ab", "abc", "abcd", "xyz"]
    codes = Codes.build(names)
    assert codes.encode(names).tolist() == list(range(9))
    assert codes.encode(["c", "cc", "ccc"]).tolist() == [-1, -1, -1]


def test_a_code_beyond_the_end_names_the_size() -> None:
    codes = Codes.build(["a"])
    codes.extend(["b"])
    assert codes.decode(np.array([1, 0, 1])) == ["b", "a", "b"]
    with pytest.raises(IndexError, match="code 2 was never given; there are 2"):
        codes.decode([0, 2])


def test_asking_gives_nothing_a_code() -> None:
    codes = Codes.build(["a"])
    codes.encode(["b", "c"])
    assert len(codes) == 1
    assert codes.extend(["c"]).tolist() == [1]


def test_a_hash_depends_on_the_string_alone() -> None:
    many = [f"user {i}" for i in range(50)]
    together = hash_strings(many)
    assert together.dtype == np.uint64
    assert len(set(together.tolist())) == 50
    for i in (0, 20, 49):
        assert hash_strings([many[i]])[0] == together[i]
    assert hash_strings(many[::-1])[::-1].tolist() == together.tolist()
    assert len(hash_strings([])) == 0


def test_a_folder_that_is_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        Codes.load(tmp_path / "nowhere")
    assert str(error.value).startswith(f"{tmp_path / 'nowhere' / 'codes.json'}: expected a JSON object")
    assert str(error.value).endswith("Build the model folder again, or copy the whole of it.")
