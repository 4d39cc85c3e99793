"""Whatever is wrong with a stored file, the error names it and never speaks in a library's words."""

import json
import mmap
import os
import re
from pathlib import Path

import numpy as np
import pytest

from recsys.core.artefact import (
    link_or_copy,
    read_archive,
    read_array,
    read_columns,
    read_json,
    reading,
    require,
)
from recsys.core.errors import BundleError, MissingExtraError


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"[]", "a list"),
        (b"null", "null"),
        (b"3", "a whole number"),
        (b'"word"', "a text"),
        (b"true", "true or false"),
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": 1', "Expecting ',' delimiter"),
        (b"\xff\xfe", "'utf-8' codec"),
        (b"[" * 100_000, "recursion"),
        (None, "no such file"),
    ],
)
def test_json_that_is_no_object(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "told.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{path}: expected a JSON object; found .*{found}.*Mend it"):
        read_json(path, "Mend it.")


def test_json_comes_back(tmp_path: Path) -> None:
    (tmp_path / "told.json").write_text(json.dumps({"a": [1], "ä": None}))
    assert read_json(tmp_path / "told.json") == {"a": [1], "ä": None}


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ([], dict, "an object"),
        ({}, list, "a list"),
        (1, str, "a text"),
        ("1", int, "a whole number"),
        (1.5, int, "a whole number"),
        (True, int, "a whole number"),
        (True, float, "a number"),
        (1, bool, "true or false"),
        (None, dict, "an object"),
    ],
)
def test_a_value_of_another_type_is_refused(value: object, kind: type, words: str) -> None:
    expected = re.escape(f"m.json: expected {words} under 'key'; found {value!r}. ")
    with pytest.raises(BundleError, match=expected):
        require({"key": value}, Path("m.json"), {"key": kind})


def test_a_key_that_lacks_is_named_with_those_that_are_there() -> None:
    with pytest.raises(BundleError, match="expected a list under 'b'; found only a, c"):
        require({"a": 1, "c": 2}, Path("m.json"), {"a": int, "b": list})
    with pytest.raises(BundleError, match="found only an empty object"):
        require({}, Path("m.json"), {"b": list})
    require({"a": 1, "b": 2.5, "c": 1}, Path("m.json"), {"a": int, "b": float, "c": float})


def test_small_arrays_are_read_and_large_ones_mapped(tmp_path: Path) -> None:
    for n, mapped in ((8, False), (8192, True)):
        np.save(tmp_path / "a.npy", np.arange(n))
        array = read_array(tmp_path / "a.npy")
        assert type(array) is np.ndarray and array.flags.writeable
        assert isinstance(array.base, np.memmap | mmap.mmap) is mapped
        array[0] = 99
        assert np.load(tmp_path / "a.npy")[0] == 0, "the file stays as it was"


def junk(path: Path, kind: str) -> None:
    """A file that is no array, or not a whole one."""
    if kind == "pickled":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        return
    if kind == "archive":
        with path.open("wb") as file:
            np.savez(file, a=np.arange(3))
        return
    np.save(path, np.arange(20_000))
    whole = path.read_bytes()
    cuts = {"empty": b"", "header": whole[:40], "half": whole[: len(whole) // 2], "small": whole[:9_000]}
    path.write_bytes(cuts.get(kind, b"word " * 30))


@pytest.mark.parametrize("kind", ["pickled", "archive", "empty", "header", "half", "small", "words"])
def test_junk_is_no_array(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npy"
    junk(path, kind)
    size = path.stat().st_size
    expected = f"{path}: expected an array (.npy); found {size} bytes that are none, or a part of one. Mend."
    with pytest.raises(BundleError) as caught:
        read_array(path, do="Mend.")
    assert str(caught.value) == expected
    with pytest.raises(BundleError, match=r"expected an array \(.npy\); found a folder"):
        read_array(tmp_path)
    with pytest.raises(BundleError, match=r"b.npy: expected an array \(.npy\); found no such file"):
        read_array(tmp_path / "b.npy")


def test_an_array_of_another_type_or_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    path = tmp_path / "a.npy"
    assert read_array(path, "float64", (None, 2)).shape == (3, 2)
    told = "expected an array of float32, shape (any, 2); found float64, shape (3, 2)"
    with pytest.raises(BundleError, match=re.escape(told)):
        read_array(path, np.float32, (None, 2))
    for shape in ((3,), (2, 2), (3, 2, 1)):
        with pytest.raises(
            BundleError, match=r"a.npy: expected an array of float64, shape .*; found float64"
        ):
            read_array(path, None, shape)


def test_columns_are_of_one_length(tmp_path: Path) -> None:
    for name, n in (("a", 3), ("b", 3), ("c", 4)):
        np.save(tmp_path / f"{name}.npy", np.zeros(n, np.int32))
    assert [len(one) for one in read_columns(tmp_path, {"a": "int32", "b": "int32"})] == [3, 3]
    with pytest.raises(BundleError, match=r"c.npy: expected an array of int32, shape \(3\); found .*\(4\)"):
        read_columns(tmp_path, {"a": "int32", "c": "int32"})
    with pytest.raises(BundleError, match=r"a.npy: expected an array of int64, shape \(any\); found int32"):
        read_columns(tmp_path, {"a": "int64"})


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(BundleError, match=r"a.npz: expected an archive \(.npz\) of .* a, b; found no such"):
        read_archive(path, ["a", "b"])
    np.savez(path, a=np.arange(3), b=np.zeros((2, 2)))
    assert read_archive(path, ["b"])["b"].shape == (2, 2)
    with pytest.raises(BundleError, match="a.npz: .* found no c. Mend"):
        read_archive(path, ["a", "c"], "Mend it.")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="found [0-9]+ bytes that are none, or a part of one"):
        read_archive(path, ["a"])
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(BundleError, match="a.npz: expected an archive"):
        read_archive(path, ["a"])


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (Exception("bad bytes\nat line 3"), "bad bytes"),
        (KeyError("up"), "nothing under 'up'"),
        (TypeError(), "TypeError"),
        (FileNotFoundError(2, "x"), "no such file"),
        (IsADirectoryError(21, "x"), "a folder"),
    ],
)
def test_whatever_a_reader_raises_names_the_file(error: Exception, found: str) -> None:
    with pytest.raises(BundleError) as caught, reading("f.bin", "a graph", "Mend it."):
        raise error
    assert str(caught.value) == f"f.bin: expected a graph; found {found}. Mend it."
    assert caught.value.__cause__ is error


def test_errors_that_say_it_already_pass() -> None:
    inner = BundleError("f", expected="x", found="y", do="z")
    for error in (inner, MissingExtraError("torch", "train"), MemoryError()):
        with pytest.raises(type(error)) as caught, reading("f.bin", "a graph"):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_is_linked_or_else_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not linked:
        monkeypatch.setattr(os, "link", other_disk)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    link_or_copy(one, str(two))
    assert two.read_text() == "x"
    assert (one.stat().st_ino == two.stat().st_ino) is linked
