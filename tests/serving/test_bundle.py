import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.serving.bundle import Bundle
from recsys.serving.bundle_write import BundleParts, write_bundle


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_what_is_written_is_loaded(folder: Path, parts: BundleParts) -> None:
    bundle = Bundle.load(folder, verify=True)
    assert bundle.columns == parts.columns
    assert bundle.popular[0].tolist() == parts.popular[0].tolist()
    assert bundle.candidates == parts.candidates
    assert bundle.select == parts.select
    assert bundle.state.position == 60
    assert bundle.state_time == parts.state_time
    assert bundle.clock
    assert bundle.users.decode([2]) == ["u2"]
    assert bundle.items.encode(["i7", "x"]).tolist() == [7, -1]
    assert bundle.vectors is not None and parts.vectors is not None
    assert np.array_equal(bundle.vectors.tuned, parts.vectors.tuned)
    assert bundle.item_attributes.vocabularies == {"item_x_kind": ["paper", "glass", "wood"]}
    assert bundle.text is None  # vectors only
    assert bundle.manifest["windows"] == {"encoder": "fit", "reranker": "rank"}
    assert json.loads((folder / "ranker" / "reranker.json").read_text()) == {"best_iteration": 40}


def test_only_what_serving_needs_of_the_encoder_travels(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "text").iterdir()) == ["manifest.json", "user_tower.npz"]


def test_equal_parts_give_equal_bytes(folder: Path, parts: BundleParts, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "again", parts)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path.name


def test_an_older_bundle_is_replaced_and_nothing_is_left_beside(parts: BundleParts, tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("")
    write_bundle(target, parts)
    assert not (target / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_write_leaves_the_older_bundle(bundle_with: Callable[..., Path], parts: BundleParts) -> None:
    target = bundle_with()
    with pytest.raises(BundleError, match="one feature for each of its 3 columns; found 17 features"):
        bundle_with(columns=parts.columns[:3])
    Bundle.load(target, verify=True)


def test_without_texts(bundle_with: Callable[..., Path]) -> None:
    bundle = Bundle.load(bundle_with(vectors=None, encoder=None))
    assert bundle.vectors is None and bundle.tower is None
    assert bundle.manifest["engine"] == "none"


def test_no_folder_and_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected a file manifest.json; found no such folder"):
        Bundle.load(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="found none. Give the folder model/ of a run"):
        Bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="manifest.json: expected a JSON object"):
        Bundle.load(tmp_path)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "vectors" / "raw.npy").unlink()
    with pytest.raises(BundleError, match=r"expected the file vectors/raw.npy; found no such file"):
        Bundle.load(copy)


def test_a_short_file_is_named(copy: Path) -> None:
    path = copy / "vectors" / "raw.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        BundleError, match=r"vectors/raw.npy in the model folder .*: expected \d+ bytes; found"
    ):
        Bundle.load(copy)


def test_a_changed_file_is_found_where_asked(copy: Path) -> None:
    path = copy / "vectors" / "raw.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    Bundle.load(copy)
    with pytest.raises(BundleError, match="expected the hash in the manifest; found another one"):
        Bundle.load(copy, verify=True)


def test_another_format_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 99, "recsys": "9.0"}))
    with pytest.raises(BundleError, match=r"expected format 3; found format 99 \(written by recsys 9.0\)"):
        Bundle.load(copy)


def test_arrays_are_a_copy_of_the_files(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*.npy")}
    bundle = Bundle.load(copy)
    assert bundle.vectors is not None
    bundle.vectors.raw[:] = 0
    bundle.state.observe(0, 1, bundle.state_time + 1, 1)
    assert all(path.read_bytes() == content for path, content in before.items())
