import numpy as np
import pytest
from anndata.utils import make_index_unique
from pandas import Index

from spatialrun.readers.sample import Sample, make_unique, some


@pytest.mark.filterwarnings("ignore:Suffix used")
@pytest.mark.parametrize(
    "names", [list("abc"), list("aabbb"), ["a", "a-1", "a"], ["a", "a", "a-1", "a-1", "a"]]
)
def test_names_are_told_apart_as_anndata_does(names):
    unique, twice = make_unique(names)
    assert unique == list(make_index_unique(Index(names)))
    assert twice == [name for name in dict.fromkeys(names) if names.count(name) > 1]


def test_parts_that_do_not_fit_are_refused(sample):
    with pytest.raises(ValueError, match="spatial has 2 rows"):
        Sample(counts=sample.counts, obs=sample.obs, var=sample.var, spatial=np.zeros((2, 2)))


def test_long_lists_are_cut():
    assert some("abc") == "a, b, c"
    assert some(range(7)) == "0, 1, 2, ... (7 in all)"
