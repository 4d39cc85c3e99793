"""Whom to score, out of files of every form; and what is said of those that cannot be used."""

from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.serving.asked_users import known_users, read_users


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "users"
    folder.mkdir()
    pl.DataFrame({"age": [3, 4, 5], "user_id": ["b", "a", "b"]}).write_parquet(folder / "1.parquet")
    (folder / "2.csv").write_text("user_id,name\n007,bond\na,somebody\n")
    pl.DataFrame({"user_id": [12, 3]}).write_parquet(folder / "3.parquet")
    (folder / "notes.txt").write_text("not for us")
    return folder


@pytest.mark.parametrize(
    ("place", "ids"),
    [
        ("1.parquet", ["b", "a"]),
        ("2.csv", ["007", "a"]),  # ids are words
        ("3.parquet", ["12", "3"]),
        ("*.parquet", ["b", "a", "12", "3"]),
        ("", ["b", "a", "007", "12", "3"]),
    ],
)
def test_a_file_a_pattern_a_folder(shards: Path, place: str, ids: list[str]) -> None:
    assert read_users(shards / place) == read_users(str(shards / place)) == ids


def test_all_of_a_model(folder: Path) -> None:
    assert known_users(folder) == ["u0", "u1", "u2", "u3"]


def refused(place: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_users(place)
    return str(caught.value).removeprefix(f"users {place}: ")


def test_what_is_not_there(shards: Path, tmp_path: Path) -> None:
    expected = "expected parquet or csv files with a column user_id; found no such file"
    assert refused(tmp_path / "nobody.parquet") == f"{expected}. Check the path."
    assert refused(shards / "*.json") == f"{expected}. Check the path."
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == f"{expected} in it. Check the path."


def test_what_cannot_be_used(shards: Path, tmp_path: Path) -> None:
    assert refused(shards / "notes.txt") == (
        "expected a file that ends with .parquet or .csv; found .txt. Rename or convert it."
    )
    (shards / "bad.parquet").write_bytes(b"none")
    assert refused(shards / "bad.parquet").startswith("expected a readable parquet file; found ")
    pl.DataFrame({"uid": ["a"], "age": [1]}).write_parquet(shards / "other.parquet")
    assert refused(shards / "other.parquet") == (
        "expected a column user_id; found columns uid, age. Rename one."
    )
    pl.DataFrame({"user_id": ["a", None, None]}).write_parquet(shards / "nulls.parquet")
    assert refused(shards / "nulls.parquet") == (
        "expected a user_id in every row; found 2 of 3 without. Drop those rows."
    )
    with pytest.raises(DataError, match="users .*bad.parquet: "):
        read_users(shards)


@pytest.mark.parametrize("content", ["", "user_id\n"])
def test_nobody(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nobody.csv"
    path.write_text(content)
    assert refused(path) == (
        "expected at least one user; found none. Leave users out to score all users of the model."
    )
