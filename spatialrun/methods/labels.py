"""Two labellings of the same spots, compared: domains against an expert's annotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialrun.errors import DataError


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well found labels agree with known ones."""

    scores: pd.DataFrame
    """One row per measure, column ``value``: ``ari``, ``nmi``, ``homogeneity``, ``completeness`` (1 is best),
    ``n_spots`` compared and ``n_unlabelled`` left out."""
    domains: pd.DataFrame
    """One row per found label: ``n_spots``, the known label it overlaps most (``best_match``), ``n_shared``
    spots with it, ``precision`` (share of the found), ``recall`` (share of the known), ``jaccard``."""
    contingency: pd.DataFrame
    """Spots by found label (rows) and known label (columns), int64."""


def agreement(found: pd.Categorical, known: pd.Categorical) -> Agreement:
    """Compare two labellings of N spots.

    Parameters
    ----------
    found, known
        (N,) each; spots that either leaves unlabelled are left out.

    Raises
    ------
    DataError
        ``data.values`` when no spot has both labels.

    Notes
    -----
    Adjusted Rand index (Hubert & Arabie 1985, 10.1007/BF01908075); normalised mutual information with the
    arithmetic mean of the entropies, which equals the V-measure (Rosenberg & Hirschberg 2007).
    """
    from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

    both = ~(found.isna() | known.isna())
    if not both.any():
        raise DataError(
            "data.values", "no spot has both labels", hint="Do the two columns label the same sample?"
        )
    a, b = found[both].remove_unused_categories(), known[both].remove_unused_categories()
    homogeneity, completeness, nmi = homogeneity_completeness_v_measure(b.codes, a.codes)
    scores = {
        "ari": adjusted_rand_score(b.codes, a.codes),
        "nmi": nmi,
        "homogeneity": homogeneity,
        "completeness": completeness,
        "n_spots": both.sum(),
        "n_unlabelled": (~both).sum(),
    }
    counts = np.zeros((len(a.categories), len(b.categories)), dtype=np.int64)
    np.add.at(counts, (a.codes, b.codes), 1)
    contingency = pd.DataFrame(counts, index=_names(a).rename("domain"), columns=_names(b))
    return Agreement(
        scores=pd.DataFrame({"value": pd.Series(scores, dtype=np.float64)}).rename_axis("measure"),
        domains=_best_matches(contingency),
        contingency=contingency,
    )


def _names(labels: pd.Categorical) -> pd.Index[str]:
    return pd.Index([str(category) for category in labels.categories], dtype=object)


def _best_matches(contingency: pd.DataFrame) -> pd.DataFrame:
    counts = contingency.to_numpy()
    best = counts.argmax(axis=1)
    shared = counts.max(axis=1)
    of_found, of_known = counts.sum(axis=1), counts.sum(axis=0)[best]
    return pd.DataFrame(
        {
            "n_spots": of_found,
            "best_match": pd.Categorical(contingency.columns[best]),
            "n_shared": shared,
            "precision": shared / of_found,
            "recall": shared / of_known,
            "jaccard": shared / (of_found + of_known - shared),
        },
        index=contingency.index,
    )
