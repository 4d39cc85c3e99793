"""The toy run, for every test of this folder."""

import pytest

from recsys.data.prepare import Prepared
from tests.pipelines.toy_shop import ToyRun, toy_data, toy_run


@pytest.fixture(scope="session")
def toy() -> ToyRun:
    return toy_run()


@pytest.fixture(scope="session")
def data() -> Prepared:
    return toy_data()
