"""The bar hands its items through, and is silent where nobody is looking."""

import builtins
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from recsys.core import progress
from recsys.core.progress import counting, track, working


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


def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in front of somebody without patience."""
    _terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)


def _slowly(n: int) -> Iterator[int]:
    for i in range(n):
        time.sleep(0.15)
        yield i


def test_a_long_task_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _hasty(monkeypatch)
    assert list(track(_slowly(3), "counting sheep", total=3)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert "counting sheep" in err


def test_a_long_block_is_shown_and_a_bar_inside_it_is_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _hasty(monkeypatch)
    with working("making soup"):
        assert list(track(_slowly(2), "cutting", total=2)) == [0, 1]
    out, err = capsys.readouterr()
    assert out == ""
    assert "making soup" in err and "cutting" in err and "0:00:0" in err
    assert not progress._open


def test_what_is_printed_meanwhile_goes_where_it_should(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _hasty(monkeypatch)
    with working("making soup"):
        time.sleep(0.1)
        print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_a_quick_block_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch)
    with working("blinking"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_block_is_quiet_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    with working("making soup"):
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_an_abandoned_or_broken_task_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    _hasty(monkeypatch)
    for item in track(_slowly(10), "searching"):
        if item == 1:
            break
    with pytest.raises(KeyboardInterrupt), working("boiling"):
        time.sleep(0.1)
        raise KeyboardInterrupt
    assert not progress._open
    assert list(track(range(2), "again")) == [0, 1]


def test_without_rich_items_still_come(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    real = builtins.__import__

    def no_rich(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_rich)
    assert list(track([5], "counting")) == [5]
    with working("counting"):
        pass


class _Clock:
    """A clock that a test turns, for a display that nobody sees."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bar_says_how_fast_it_goes_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    clock = _Clock()
    with counting("training", 40, "samples", done=10) as advance:
        display = progress._open[0]
        display.get_time = clock
        (task,) = display.tasks
        task._get_time = clock
        display.reset(task.id, completed=10)
        rate, left = (column.render for column in display.columns[-2:])
        assert str(rate(task)) == ""
        assert task.percentage == 25
        for clock.now in range(1, 12):  # ten steps of 256 after the first, a second each
            advance(256)
        assert str(rate(task)) == "256 samples/s"
        assert str(left(task)) == "left 0:00:19"
        for clock.now in (21, 31):
            advance(3)
        each = 3 + 253 * 0.9**2  # a moving mean, over about ten steps
        assert str(rate(task)) == f"{each * 12 / 30:,.0f} samples/s"
    assert not progress._open


def test_a_bar_of_items_counts_items_and_a_block_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    clock = _Clock()
    with working("cooking"):
        display = progress._open[0]
        display.get_time = clock
        rate, left = (column.render for column in display.columns[-2:])
        assert str(rate(display.tasks[0])) == str(left(display.tasks[0])) == ""
        for clock.now, _ in enumerate(track(range(9), "cutting")):
            task = display.tasks[1]
            task._get_time = clock
    assert str(rate(task)) == "1/s"


def test_steps_are_told_to_nobody_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("training", 3) as advance:
        advance(1.0)
    assert capsys.readouterr() == ("", "")
