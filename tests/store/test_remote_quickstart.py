"""The quickstart on S3, with faults and latency: the results of a local store, to the last."""

import pytest
from lab import digests
from server import Trouble
from shipped import SMALL, apply_shipped


@pytest.mark.slow
def test_the_quickstart_with_faults_comes_to_the_same_digests(server, bucket, tmp_path):
    here = apply_shipped("quickstart.yaml", tmp_path / "here", *SMALL)
    server.trouble = Trouble(0.15, seed=1, latency=0.03)
    before = sum(server.spoilt.values())
    there = apply_shipped("quickstart.yaml", tmp_path / "there", *SMALL, f"store={bucket}/store")
    server.calm()
    assert sum(server.spoilt.values()) - before > 20
    assert digests(there) == digests(here)
