import re
import subprocess

import pytest

from recsys.pipelines.commit import git_commit


@pytest.mark.parametrize("digits", [12, 40])
def test_the_commit_is_a_hash_or_nothing(monkeypatch, digits):
    assert re.fullmatch(rf"([0-9a-f]{{{digits},40}}\+?)?", git_commit(digits))
    monkeypatch.setenv("PATH", "")
    assert git_commit(digits) == ""


def test_outside_a_repository_there_is_none(monkeypatch):
    def fail(*words, **settings):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert git_commit() == ""
