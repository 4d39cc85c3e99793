"""The figure of killed trainings: a few kills here, all of them when the figure is taken."""

import pytest

from recsys.pipelines.bench_encoder_resume import KILLS, QUICK_KILLS, resume_figures


@pytest.mark.slow
def test_killed_trainings_give_the_bytes_of_an_unbroken_one() -> None:
    (figure,) = resume_figures(quick=True)
    assert (figure.name, figure.value, figure.goal, figure.sense) == (
        "resume_equal",
        QUICK_KILLS,
        KILLS,
        "min",
    )
    assert figure.note.startswith(f"{QUICK_KILLS} kills at random of ")
