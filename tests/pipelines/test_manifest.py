"""The manifest gathers what each command left in a run folder."""

import json

import pytest

from recsys.core.errors import BundleError
from recsys.pipelines.manifest import MANIFEST, merged, read_stages, write


def record(key="k", started="t", skipped=False, **more):
    return {"key": key, "started": started, "skipped": skipped, "saw": {}} | more


def test_what_a_further_command_leaves_alone_stays():
    earlier = {"evaluate": record("e"), "score": record("s")}
    assert merged(earlier, {"score": record("new")}) == {"evaluate": record("e"), "score": record("new")}


def test_a_stage_that_this_folder_made_is_not_called_skipped():
    now = {"score": record(skipped=True)}
    assert not merged({"score": record()}, now)["score"]["skipped"]
    assert merged({}, now)["score"]["skipped"]
    assert merged({"score": record(skipped=True)}, now)["score"]["skipped"]
    assert merged({"score": record(started="before")}, now)["score"]["skipped"]  # repeated elsewhere since
    assert merged({"score": record("other")}, now)["score"]["skipped"]


def test_written_and_read_again(tmp_path):
    assert read_stages(tmp_path) == {}
    records = {
        "train-encoder": record(saw={"encoder": "fit"}),
        "train-ranker": record(saw={"reranker": "rank"}),
    }
    write(tmp_path, {"name": "shop"}, records)
    assert read_stages(tmp_path) == records
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert content["name"] == "shop"
    assert content["saw"] == {"encoder": "fit", "reranker": "rank"}


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_file_of_that_name_that_is_no_manifest_is_named(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json: expected a JSON object.*paths\.run_dir"):
        read_stages(tmp_path)
