import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError, UsageError
from spatialrun.readers.filter import filter_sample
from spatialrun.readers.sample import Sample, with_totals

COUNTS = np.array(
    [
        [5, 0, 1, 0],
        [0, 0, 0, 0],
        [1, 1, 1, 9],
        [7, 0, 0, 2],
    ]
)


@pytest.fixture
def four() -> Sample:
    counts = csc_matrix(COUNTS, dtype=np.int32)
    obs = pd.DataFrame({"in_tissue": [True, True, True, False]}, index=list("abcd"))
    return Sample(
        counts=counts,
        obs=with_totals(obs, counts),
        var=pd.DataFrame({"gene_ids": list("1234")}, index=["MT-A", "B", "C", "D"]),
        spatial=np.arange(8.0).reshape(4, 2),
        obsm={"pca": np.arange(4.0)[:, None]},
    )


@pytest.mark.parametrize(
    ("options", "spots", "genes"),
    [
        ({}, "abc", [0, 1, 2, 3]),
        ({"in_tissue": False}, "abcd", [0, 1, 2, 3]),
        ({"min_counts": 6}, "ac", [0, 1, 2, 3]),
        ({"min_genes": 3}, "c", [0, 1, 2, 3]),
        ({"min_spots": 2}, "abc", [0, 2]),
        ({"in_tissue": False, "min_spots": 2}, "abcd", [0, 2, 3]),
        ({"exclude_genes": "^MT-"}, "abc", [1, 2, 3]),
        ({"genes": "[BC]"}, "abc", [1, 2]),
        # Spots are judged over all genes, then genes over the spots that are kept.
        ({"min_counts": 6, "exclude_genes": "^MT-", "min_spots": 2}, "ac", [2]),
    ],
)
def test_what_is_kept(four, options, spots, genes):
    found = filter_sample(four, **options)
    rows = ["abcd".index(name) for name in spots]
    assert "".join(found.obs_names) == spots
    assert list(found.var["gene_ids"]) == [str(i + 1) for i in genes]
    np.testing.assert_array_equal(found.counts.toarray(), COUNTS[np.ix_(rows, genes)])
    np.testing.assert_array_equal(found.obs["total_counts"], COUNTS[np.ix_(rows, genes)].sum(axis=1))
    np.testing.assert_array_equal(
        found.obs["n_genes_by_counts"], (COUNTS[np.ix_(rows, genes)] > 0).sum(axis=1)
    )
    np.testing.assert_array_equal(found.spatial, four.spatial[rows])
    np.testing.assert_array_equal(found.obsm["pca"][:, 0], rows)
    assert found.counts.format == "csc"
    assert found.counts.has_sorted_indices
    assert found.counts.dtype == np.int32


def test_the_sample_itself_stays(four):
    filter_sample(four, min_counts=6, genes="B")
    np.testing.assert_array_equal(four.counts.toarray(), COUNTS)
    assert four.obs["total_counts"].tolist() == [6, 0, 12, 9]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"min_counts": 10, "min_genes": 5},
            "in_tissue removed 1, min_counts 10 removed 2, min_genes 5 removed 1",
        ),
        ({"genes": "^x"}, "no gene is left of 4: genes '\\^x' removed 4"),
    ],
)
def test_nothing_left_is_accounted_for(four, options, said):
    with pytest.raises(DataError, match=said) as caught:
        filter_sample(four, **options)
    assert caught.value.code == "data.empty"


def test_a_pattern_that_is_none(four):
    with pytest.raises(UsageError, match="regular expression"):
        filter_sample(four, genes="(")
