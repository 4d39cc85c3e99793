"""Columns of a progress bar: how fast it goes, and how long it still takes."""

from rich.progress import ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text


class Rate(ProgressColumn):
    """Steps a second of the last half minute; where a bar is told what a step holds, so many of these."""

    def render(self, task: Task) -> Text:
        """Nothing for what has no end, or has not begun."""
        speed = task.finished_speed or task.speed
        if task.total is None or not speed:
            return Text("")
        rate, unit = speed * task.fields.get("each", 1.0), task.fields.get("unit", "")
        return Text(
            f"{rate:,.0f}{unit and ' '}{unit}/s" if rate >= 10 else f"{rate:.2g}{unit and ' '}{unit}/s"
        )


class Left(TimeRemainingColumn):
    """The estimated time left, in words that tell it from the time gone."""

    def render(self, task: Task) -> Text:
        """Nothing for what has no end."""
        return Text("") if task.total is None else Text("left ") + super().render(task)
