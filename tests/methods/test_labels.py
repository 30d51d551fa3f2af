from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from spatialrun.errors import DataError
from spatialrun.methods.labels import agreement

FOUND = pd.Categorical(["a", "a", "b", "b", "b", None, "c", "c"], categories=["a", "b", "c", "unused"])
KNOWN = pd.Categorical(["L1", "L1", "L1", "L2", "L2", "L2", None, "L2"])


def test_scores_over_spots_with_both_labels() -> None:
    scores = agreement(FOUND, KNOWN).scores["value"]
    found, known = ["a", "a", "b", "b", "b", "c"], ["L1", "L1", "L1", "L2", "L2", "L2"]
    assert scores["ari"] == pytest.approx(adjusted_rand_score(known, found))
    assert scores["nmi"] == pytest.approx(normalized_mutual_info_score(known, found))
    assert (scores["n_spots"], scores["n_unlabelled"]) == (6, 2)


def test_best_match_of_each_domain() -> None:
    domains = agreement(FOUND, KNOWN).domains
    assert list(domains.index) == ["a", "b", "c"]
    assert list(domains["best_match"]) == ["L1", "L2", "L2"]
    assert list(domains["n_shared"]) == [2, 2, 1]
    np.testing.assert_allclose(domains["precision"], [1, 2 / 3, 1])
    np.testing.assert_allclose(domains["recall"], [2 / 3, 2 / 3, 1 / 3])
    np.testing.assert_allclose(domains["jaccard"], [2 / 3, 1 / 2, 1 / 3])


def test_contingency() -> None:
    table = agreement(FOUND, KNOWN).contingency
    assert table.to_numpy().tolist() == [[2, 0], [1, 2], [0, 1]]
    assert list(table.columns) == ["L1", "L2"]


def test_equal_labellings_agree_whatever_their_names() -> None:
    found = pd.Categorical(["x", "y", "x", "z"])
    scores = agreement(found, found.rename_categories(["1", "2", "3"])).scores["value"]
    assert scores[["ari", "nmi", "homogeneity", "completeness"]].tolist() == pytest.approx([1, 1, 1, 1])


def test_no_spot_with_both_labels() -> None:
    with pytest.raises(DataError) as error:
        agreement(pd.Categorical(["a", None]), pd.Categorical([None, "b"]))
    assert error.value.code == "data.values"
