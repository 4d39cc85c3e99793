"""Whatever is wrong with a model folder, the error names the file and says what was found."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.ranking.first_stage import SelectConfig
from recsys.serving.asker import asker_of
from recsys.serving.bundle import Bundle, check_trees
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.known import known_of
from recsys.serving.ranker import Ranker


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def read_all(folder: Path) -> None:
    """Open what answers, and what an update goes on with."""
    known_of(Ranker.load(folder).bundle)


def files_of(folder: Path) -> list[str]:
    return list(json.loads((folder / "manifest.json").read_text())["files"])


def test_the_manifest_lists_every_file_but_itself(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(files_of(folder)) == found - {"manifest.json"}
    parts = {name.split("/")[0] for name in found}
    assert parts == {
        "manifest.json",
        "attributes",
        "candidates",
        "codes",
        "ranker",
        "state",
        "text",
        "vectors",
    }


def test_each_missing_file_is_named(copy: Path) -> None:
    for name in files_of(copy):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        with pytest.raises(BundleError, match=f"expected the file {name}; found no such file"):
            Ranker.load(copy)
        (copy / name).write_bytes(content)
    assert len(Ranker.load(copy, verify=True).columns) > 9


def test_each_truncated_or_longer_file_is_named(copy: Path) -> None:
    for name in files_of(copy):
        content = (copy / name).read_bytes()
        for damaged in (content[: len(content) // 2], content + b"\0"):
            (copy / name).write_bytes(damaged)
            found = (
                f"{name} in the model folder .*: expected {len(content)} bytes; found {len(damaged)} bytes"
            )
            with pytest.raises(BundleError, match=found):
                Bundle.load(copy)
        (copy / name).write_bytes(content)


def test_each_changed_byte_is_found_by_its_hash(copy: Path) -> None:
    for name in files_of(copy):
        content = (copy / name).read_bytes()
        changed = bytearray(content)
        changed[len(content) // 2] ^= 0x10
        (copy / name).write_bytes(changed)
        with pytest.raises(
            BundleError, match=f"{name} in .*: expected the hash in the manifest; found another"
        ):
            Bundle.load(copy, verify=True)
        (copy / name).write_bytes(content)


def test_a_folder_in_the_place_of_a_file_is_a_missing_file(copy: Path) -> None:
    (copy / "ranker" / "model.txt").unlink()
    (copy / "ranker" / "model.txt").mkdir()
    with pytest.raises(BundleError, match="expected the file ranker/model.txt; found no such file"):
        Bundle.load(copy)


@pytest.mark.parametrize("keep", [0, 1, 40, 400])
def test_a_truncated_manifest_is_not_json(copy: Path, keep: int) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text()[:keep])
    with pytest.raises(
        BundleError, match=r"manifest.json: expected a JSON object; found .*\. Build the model"
    ):
        Bundle.load(copy)


@pytest.mark.parametrize("given", [0, 1, None, "2"])
def test_a_manifest_of_another_format_is_refused(copy: Path, given: object) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": given}))
    with pytest.raises(BundleError, match=f"expected format 3; found format {given}") as caught:
        Bundle.load(copy)
    assert caught.value.do.startswith("Build it again")


def rewrite(copy: Path, name: str, content: bytes) -> None:
    """Change a file and the manifest with it: only the content itself can tell."""
    (copy / name).write_bytes(content)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][name]["bytes"] = len(content)
    (copy / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_trees_cut_short_are_noticed_by_their_end(copy: Path, share: float) -> None:
    text = (copy / "ranker" / "model.txt").read_text()
    trees = text[: text.index("end of trees")]
    rewrite(copy, "ranker/model.txt", trees[: int(len(trees) * share)].encode())
    with pytest.raises(BundleError, match="the tree model: expected .*; found"):
        Ranker.load(copy)


def test_a_manifest_that_is_a_list(copy: Path) -> None:
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(BundleError, match="manifest.json: expected a JSON object; found a list"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    "key",
    [
        "files",
        "clock",
        "columns",
        "engine",
        "attributes",
        "state",
        "candidates",
        "select",
        "rules",
        "updates",
    ],
)
def test_a_manifest_lacks_a_key_or_holds_another_type(copy: Path, key: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    for changed in ({name: manifest[name] for name in manifest if name != key}, {**manifest, key: None}):
        (copy / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=f"manifest.json: expected .* under '{key}'; found .*Build"):
            Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"candidates": {"shelves": 3}}, "settings of this version of recsys .*; found .*shelves"),
        ({"candidates": {"depths": {"popular": -1}}}, "settings of this version .*; found candidates.depths"),
        ({"rules": {"caps": {"brand": 0}}}, "settings of this version of recsys .*; found rules.caps.brand"),
        ({"select": {"n": 0}}, "settings of this version of recsys .*; found select.n"),
        ({"attributes": {}}, "names and vocabularies under 'attributes', 'item'; found nothing under 'item'"),
        ({"attributes": {"item": [], "user": []}}, "names and vocabularies under 'attributes', 'item'"),
        ({"state": {}}, "a whole number under 'time_us'; found only an empty object"),
        ({"files": {"x": {}}}, "a whole number under 'bytes'; found only an empty object"),
        ({"files": {"x": 3}}, "bytes and sha256 of the file x; found"),
    ],
)
def test_a_manifest_of_another_layout(copy: Path, change: dict[str, object], told: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(BundleError, match=f"manifest.json: expected .*{told}"):
        Bundle.load(copy)


def test_no_junk_gets_through(copy: Path) -> None:
    """Whatever file holds something else, of the size that the manifest says, the error names it."""
    for name in files_of(copy):
        if name in ("text/encoder.onnx", "text/tokenizer.json", "ranker/reranker.json"):
            continue  # read where a new text is encoded, and for people
        content = (copy / name).read_bytes()
        rewrite(copy, name, b"junk" * 9)
        with pytest.raises(BundleError) as caught:
            read_all(copy)
        told = str(caught.value)
        assert Path(name).name in told or name == "ranker/model.txt", told
        assert "pickle" not in told and "expected" in told and "found" in told
        rewrite(copy, name, content)
    read_all(copy)


def test_arrays_of_another_layout_are_refused(copy: Path) -> None:
    """Compiled code would read beyond their ends, or break with a TypeError of numba's."""
    for name in files_of(copy):
        if not name.endswith(".npy"):
            continue
        content, array = (copy / name).read_bytes(), np.load(copy / name)
        np.save(copy / name, array[None].astype(complex) if array.dtype.kind in "fiu" else array[None])
        rewrite(copy, name, (copy / name).read_bytes())
        with pytest.raises(
            BundleError,
            match=rf"{Path(name).name}: expected an array of .*; found (complex128|\|S32, shape \(1)",
        ):
            read_all(copy)
        rewrite(copy, name, content)


def test_tables_that_do_not_fit_each_other(copy: Path, tmp_path: Path) -> None:
    """Parts of two models, each whole in itself."""
    vectors = np.load(copy / "vectors" / "tuned.npy")
    for name in ("raw", "tuned"):
        np.save(tmp_path / "a.npy", vectors[:, :-1])
        rewrite(copy, f"vectors/{name}.npy", (tmp_path / "a.npy").read_bytes())
    with pytest.raises(BundleError, match="tuned.npy: expected an array of float32, shape .*; found float32"):
        Ranker.load(copy)


@pytest.mark.parametrize("name", ["codes/users/codes.json", "codes/items/codes.json"])
def test_json_that_is_none_inside_the_folder_is_refused(copy: Path, name: str) -> None:
    rewrite(copy, name, b"{" * 10)
    with pytest.raises(BundleError, match=r"expected .*; found .*\. \w+"):
        Bundle.load(copy)


@pytest.mark.parametrize("change", [-1, 1])
def test_trees_and_columns_must_be_as_many(ranker: Ranker, change: int) -> None:
    n = len(ranker.columns)
    columns = ranker.columns[:-1] if change < 0 else (*ranker.columns, "more")
    with pytest.raises(BundleError, match=f"each of its {n + change} columns; found {n} features"):
        check_trees(ranker.bundle.trees, columns)


def test_nothing_is_left_of_a_write_that_failed(parts: BundleParts, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="tree model"):
        write_bundle(tmp_path / "deep" / "model", replace(parts, trees="no trees"))
    assert not (tmp_path / "deep" / "model").exists()
    with pytest.raises(AttributeError):  # breaks in the middle of writing
        write_bundle(tmp_path / "deep" / "model", replace(parts, items=None))  # type: ignore[arg-type]
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_bundle_moved_or_copied_elsewhere_answers_the_same(folder: Path, copy: Path) -> None:
    one, two = Ranker.load(folder), Ranker.load(copy.rename(copy.parent / "moved"), verify=True)
    items = [f"i{i}" for i in range(10)]
    assert (
        one.rank("u1", items, at="state").scores.tolist() == two.rank("u1", items, at="state").scores.tolist()
    )


def test_what_was_observed_can_be_written_and_read_again(
    ranker: Ranker, parts: BundleParts, bundle_with: Callable[..., Path]
) -> None:
    ranker.observe([("newcomer", "i3", "click"), ("u0", "i5", "purchase")])
    path = bundle_with(
        state=ranker.bundle.state,
        users=ranker.bundle.users,
        state_time=ranker.state_time,
        columns=parts.columns,
    )
    again = Ranker.load(path, verify=True)
    assert (again.position, again.state_time) == (ranker.position, ranker.state_time)
    items = [f"i{i}" for i in range(10)]
    for user in ("newcomer", "u0", "u1", "nobody"):
        np.testing.assert_array_equal(
            again.features(user, items, at="state"), ranker.features(user, items, at="state")
        )


@pytest.mark.parametrize("n", [1, 3])
def test_the_select_config_travels(bundle_with: Callable[..., Path], n: int) -> None:
    ranker = Ranker.load(bundle_with(select=SelectConfig(n=n, quotas={"popular": 1})))
    assert ranker.bundle.select == SelectConfig(n=n, quotas={"popular": 1})
    asker = asker_of(ranker.bundle, "u0", None, ranker.state_time)
    pool = ranker._live.offer(asker.view)
    assert len(pool.items) > n == len(ranker._live.select(asker, pool).items)
    assert len(ranker.recommend("u0", 5, exclude_seen=False, at="state")) == 5  # a longer list is filled
