from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import UsageError
from spatialrun.methods.simulate import SimulatedVisium, simulate_cohort
from spatialrun.methods.simulate.programs import ACTIVITY, PROGRAMS
from spatialrun.methods.simulate.tumour import DOMAINS

SIZE = {"n_genes": 400, "n_svg": 200, "image_size": 200, "seed": 3}


@pytest.fixture(scope="module")
def cohort() -> dict[str, SimulatedVisium]:
    return dict(simulate_cohort({"one": 900, "two": 700, "three": 1100}, **SIZE))


def mean_rate(section: SimulatedVisium, gene: str, domain: str) -> float:
    depth = np.asarray(section.counts.sum(axis=1)).ravel()
    own = section.domain == 1 + DOMAINS.index(domain)
    column = section.counts[:, int(np.flatnonzero(section.gene_names == gene)[0])].toarray().ravel()
    return column[own].sum() / depth[own].sum()


def test_domains_and_programs_know_each_other():
    assert set(ACTIVITY) == set(DOMAINS)
    assert {program for own in ACTIVITY.values() for program in own} == set(PROGRAMS)
    genes = [gene for own in PROGRAMS.values() for gene in own]
    assert len(set(genes)) == len(genes)


def test_samples_share_genes_and_domains(cohort):
    one, two, three = cohort.values()
    for name in ("gene_names", "domain_names", "pattern", "effect_size"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert len(set(one.gene_names)) == 400
    assert [section.counts.shape[0] for section in (one, two, three)] == [900, 700, 1100]
    for section in (one, two, three):
        assert len(np.unique(section.domain)) == len(DOMAINS)
    assert not np.array_equal(one.domain[:700], two.domain)


def test_a_sample_is_the_same_whatever_others_there_are(cohort):
    ((name, alone),) = simulate_cohort({"two": 700}, **SIZE)
    assert name == "two"
    assert (alone.counts != cohort["two"].counts).nnz == 0
    np.testing.assert_array_equal(alone.images["hires"], cohort["two"].images["hires"])
    np.testing.assert_array_equal(alone.barcodes, cohort["two"].barcodes)


@pytest.mark.parametrize(
    ("gene", "high", "low"),
    [
        ("LUM", "desmoplastic stroma", "tumour"),
        ("SFRP4", "desmoplastic stroma", "muscle"),
        ("CSTB", "tumour", "desmoplastic stroma"),
        ("MKI67", "proliferating tumour", "tumour"),
        ("CXCL13", "lymphoid follicle", "epithelium"),
        ("DUOX2", "epithelium", "tumour"),
    ],
)
def test_known_genes_are_where_one_looks_for_them(cohort, gene, high, low):
    for section in cohort.values():
        assert mean_rate(section, gene, high) > 1.6 * mean_rate(section, gene, low)


def test_the_dying_core_lies_within_the_tumour(cohort):
    for section in cohort.values():
        names = np.array(DOMAINS)[section.domain - 1]
        dying = section.spatial[names == "necrosis"]
        places = section.spatial[np.isin(names, ["tumour", "hypoxic tumour", "necrosis"])]
        middle = np.median(places, axis=0)
        assert np.hypot(*(dying - middle).T).mean() < np.hypot(*(places - middle).T).mean()


def test_batches_differ_by_as_much_as_is_asked():
    def logs(batch_sigma: float) -> np.ndarray:
        sections = simulate_cohort({"a": 400, "b": 400}, **SIZE, batch_sigma=batch_sigma)
        sums = [np.asarray(section.counts.sum(axis=0)).ravel() for _, section in sections]
        flat = (sums[0] > 500) & (sums[1] > 500) & (section_pattern == "")
        return np.log(sums[0][flat] / sums[1][flat])

    section_pattern = next(simulate_cohort({"a": 400}, **SIZE))[1].pattern
    assert np.std(logs(0.5)) == pytest.approx(0.5 * np.sqrt(2), rel=0.25)
    assert np.std(logs(0.0)) < 0.15


@pytest.mark.parametrize(
    ("samples", "size"),
    [({"a": 14}, SIZE), ({"a": 100}, SIZE | {"n_genes": 100}), ({"a": 100}, SIZE | {"n_svg": 20})],
)
def test_impossible_sizes(samples, size):
    with pytest.raises(UsageError):
        list(simulate_cohort(samples, **size))
