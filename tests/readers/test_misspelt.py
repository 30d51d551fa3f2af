"""What may have been meant by a path that does not exist."""

from __future__ import annotations

from spatialrun.readers.misspelt import meant


def test_the_part_that_is_misspelt_may_be_anywhere(tmp_path):
    outs = tmp_path / "sample_12" / "outs"
    outs.mkdir(parents=True)
    (tmp_path / "sample_1").mkdir()
    assert meant(tmp_path / "sampl_12" / "outs") == outs
    assert meant(tmp_path / "sample_12" / "out") == outs
    assert meant(tmp_path / "sample_1" / "outs" / "deep") is None


def test_nothing_is_like_it(tmp_path):
    assert meant(tmp_path / "quite" / "different") is None
