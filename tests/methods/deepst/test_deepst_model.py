from __future__ import annotations

import numpy as np
import pytest
import torch
from heard import Heard
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score

from spatialrun.errors import DataError
from spatialrun.methods.deepst import Augmentation, Partitioning, Schedule, components, domains
from spatialrun.methods.deepst.clustering import communities, merged
from spatialrun.methods.deepst.edges import Edges
from spatialrun.methods.deepst.graph import with_loops
from spatialrun.methods.deepst.network import Network
from spatialrun.methods.deepst.training import train

THREE = Partitioning(n_domains=3)
SHORT = Schedule(pre_epochs=60, epochs=40)


@pytest.fixture(scope="module")
def prepared(layers) -> np.ndarray:
    return components([layers.counts], [layers.places], Augmentation(pca_n_comps=30))


class Memory:
    """A checkpoint that saves at some epochs, and ends the computation at the last of them."""

    def __init__(self, *epochs: int, then: bool = False) -> None:
        self.epochs, self.then = list(epochs), then
        self.seen = 0
        self.kept: dict[str, np.ndarray] | None = None

    def load(self):
        return self.kept

    def save(self, state) -> None:
        self.seen += 1
        if self.seen in self.epochs:
            self.kept = {name: np.array(value) for name, value in state().items()}
            if self.then and self.seen == self.epochs[-1]:
                raise KeyboardInterrupt


def test_layers_are_found(layers, prepared) -> None:
    (found,) = domains(prepared, [layers.places], THREE, SHORT)
    assert adjusted_rand_score(layers.layer, found.refined) > 0.8
    assert found.embedding.shape == (300, 28)
    assert found.embedding.dtype == np.float32
    assert set(found.domain) == set(found.refined) == {0, 1, 2}
    assert (np.diff(np.bincount(found.domain)) <= 0).all()


def test_a_mixture_of_exactly_as_many_domains(layers, prepared) -> None:
    four = Partitioning(n_domains=4, clustering="mixture")
    (found,) = domains(prepared, [layers.places], four, SHORT)
    assert set(found.domain) == {0, 1, 2, 3}
    assert (np.diff(np.bincount(found.domain)) <= 0).all()


@pytest.mark.parametrize("stopped_at", [25, 60, 61, 75, 80])
def test_a_stopped_training_goes_on_to_the_same(layers, prepared, stopped_at) -> None:
    wanted = train(prepared, layers.graph, SHORT)
    checkpoint = Memory(stopped_at, then=True)
    with pytest.raises(KeyboardInterrupt):
        train(prepared, layers.graph, SHORT, checkpoint=checkpoint)
    heard = Heard()
    checkpoint.epochs = []
    again = train(prepared, layers.graph, SHORT, checkpoint=checkpoint, report=heard)
    np.testing.assert_array_equal(again, wanted)
    assert f"{stopped_at} epochs were done before" in heard.lines


def test_the_seed_decides_and_threads_do_not(layers, prepared) -> None:
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    schedule = Schedule(pre_epochs=10, epochs=5, seed=3)
    one = train(prepared, layers.graph, schedule)
    torch.set_num_threads(threads + 1)
    try:
        np.testing.assert_array_equal(train(prepared, layers.graph, schedule), one)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert (train(prepared, layers.graph, Schedule(pre_epochs=10, epochs=5, seed=4)) != one).any()
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers are touched"


def test_spots_are_normalised_by_their_own_statistics(layers, prepared) -> None:
    x, edges = (
        torch.from_numpy(prepared.astype(np.float32)),
        Edges(with_loops(layers.graph), torch.device("cpu")),
    )
    generator = torch.Generator().manual_seed(0)
    network = Network(x.shape[1], "GATConv")
    with torch.no_grad():
        before = network.eval()(x, edges, generator).z
        network.train()(100.0 + 7.0 * x, edges, generator)
        np.testing.assert_array_equal(network.eval()(x, edges, generator).z, before)


def test_the_learning_rate_falls_to_nothing() -> None:
    schedule = Schedule(pre_epochs=30, epochs=10, lr=0.4)
    assert [schedule.rate(epoch) for epoch in (0, 20, 40)] == pytest.approx([0.4, 0.2, 0.0])


def test_progress_losses_and_the_time_left_are_told(layers, prepared) -> None:
    heard = Heard()
    domains(prepared, [layers.places], THREE, Schedule(pre_epochs=20, epochs=10), report=heard)
    assert heard.units == ["epochs"]
    told = [line for line in heard.lines if line.startswith("pre-training: epoch")]
    assert len(told) == 10
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in told]
    assert losses[-1] < losses[0]
    assert told[0].endswith("s left")


def test_training_stops_when_no_label_changes(layers, prepared) -> None:
    heard = Heard()
    train(prepared, layers.graph, Schedule(pre_epochs=150, epochs=2000), report=heard)
    assert any(line.startswith("no label changes any more: stopped after") for line in heard.lines)


@pytest.mark.parametrize("n_domains", [2, 5, 11])
def test_exactly_as_many_domains_as_asked_for(n_domains) -> None:
    blobs = np.repeat(np.eye(4) * 20, 40, axis=0) + np.random.default_rng(0).normal(size=(160, 4))
    assert len(np.unique(communities(blobs, n_domains))) == n_domains


def test_communities_that_belong_together_are_merged_first() -> None:
    labels = np.repeat([0, 1, 2, 3], 5).astype(np.int32)
    between = np.array([[9, 3, 0, 0], [3, 9, 0, 0.5], [0, 0, 9, 1], [0, 0.5, 1, 9]])
    graph = csr_matrix(np.kron(between, np.ones((5, 5))))
    np.testing.assert_array_equal(merged(labels, graph, 3), np.repeat([0, 0, 1, 2], 5))
    np.testing.assert_array_equal(merged(labels, graph, 2), np.repeat([0, 0, 1, 1], 5))


def test_without_a_number_of_domains_the_most_distinct_ones_are_taken(layers, prepared) -> None:
    heard = Heard()
    (found,) = domains(prepared, [layers.places], Partitioning(priori=False), SHORT, report=heard)
    assert 2 <= len(np.unique(found.domain)) <= 10
    assert any("most distinct domains" in line for line in heard.lines)


def test_more_domains_than_spots(layers, prepared) -> None:
    with pytest.raises(DataError, match="n_clusters is 301"):
        domains(prepared, [layers.places], Partitioning(n_domains=301), SHORT)
