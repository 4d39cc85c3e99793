"""The bar hands its items through, and is silent where nobody is looking."""

import builtins
import sys
from typing import Any

import pytest

from recsys.core import progress
from recsys.core.progress import track


def test_quiet_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2, 3], "counting")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")


def test_a_quick_task_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch)
    assert list(track(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_long_task_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    assert list(track((i for i in range(3)), "counting sheep", total=3)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert "counting sheep" in err


def test_an_abandoned_bar_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    for item in track(range(10), "searching"):
        if item == 2:
            break
    assert list(track(range(2), "again")) == [0, 1]  # rich refuses a second live display if one is open


def test_without_rich_items_still_come(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    real = builtins.__import__

    def no_rich(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_rich)
    assert list(track([5], "counting")) == [5]
