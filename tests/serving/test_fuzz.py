"""Whatever a service is asked or told: a sound answer or a refusal in words; asking changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.interest.vectors import Vectors
from recsys.pipelines.bench_serving_fuzz import Fuzzed, Fuzzer
from recsys.ranking.calibrate import Calibration
from recsys.ranking.probability import Probabilities, Probability
from recsys.ranking.rules import RulesConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.ranker import Ranker

from .conftest import trees, write_static


@pytest.fixture(scope="module")
def whole(parts: BundleParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a text tower, chances and rules, one of whose items has no vector."""
    root = tmp_path_factory.mktemp("whole")
    assert parts.vectors is not None
    holes = np.where(np.arange(len(parts.items))[:, None] == 2, np.float32(np.nan), 1)
    outcome = {
        name: Probability(trees(parts.columns), Calibration(0.1, -1)) for name in ("p_click", "p_purchase")
    }
    changed = replace(
        parts,
        encoder=write_static(root / "static"),
        vectors=Vectors(parts.vectors.tuned * holes, parts.vectors.raw * holes),
        probabilities=Probabilities(parts.columns, None, outcome, {}),
        rules=RulesConfig("value", caps={"kind": 3}, pins=("i4",), exclude=("i6",), diversity=0.3),
    )
    return write_bundle(root / "model", changed)


def told(done: Fuzzed) -> str:
    return "\n".join(done.unexpected)


@pytest.mark.parametrize("model", ["folder", "whole"])
def test_every_call_is_answered_or_refused(model: str, request: pytest.FixtureRequest) -> None:
    done = Fuzzer(Ranker.load(request.getfixturevalue(model)), 0).run(600)
    assert not done.unexpected, told(done)
    for counts in (done.answered, done.refused):
        assert set(counts) == {"rank", "recommend", "similar", "rank_many", "observe"}
        assert min(counts.values()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("model", ["folder", "whole"])
def test_many_more_calls_are(model: str, request: pytest.FixtureRequest) -> None:
    done = Fuzzer(Ranker.load(request.getfixturevalue(model)), 1).run(50_000)
    assert not done.unexpected, told(done)
