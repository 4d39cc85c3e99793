"""Gap buckets: each edge belongs to the bucket above it."""

import pytest

from recsys.core.gaps import GAP_EDGES, N_GAPS, gap_bucket, gap_edges


@pytest.mark.kernel
def test_edges_are_half_open() -> None:
    edges = gap_edges()
    assert gap_bucket(edges, 0) == 1
    for place, edge in enumerate(GAP_EDGES):
        assert gap_bucket(edges, edge - 1) == place + 1
        assert gap_bucket(edges, edge) == place + 2
    assert gap_bucket(edges, 10**18) == N_GAPS - 1, "bucket 0 is kept for no gap"
