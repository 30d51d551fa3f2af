"""DeepST's training: reconstruction first, then clusters too; it can be stopped anywhere and gone on with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.methods.deepst.adversary import Adversary
from spatialrun.methods.deepst.edges import Edges
from spatialrun.methods.deepst.graph import edge_norm, with_loops
from spatialrun.methods.deepst.network import (
    Network,
    masked,
    reconstruction_loss,
    sharpened,
    soft_assignment,
)
from spatialrun.methods.deepst.schedule import Schedule
from spatialrun.methods.expression_graph import neighbor_graph
from spatialrun.methods.leiden import Leiden
from spatialrun.methods.partition import Labels
from spatialrun.methods.reporter import SILENT, Reporter

Singles = NDArray[np.float32]

MASKED = 0.001
"""Share of the components that pre-training hides."""
DECAY = 1e-4
STEEPEST = 5.0
"""Longest gradient."""
START_NEIGHBORS = 20
START_RESOLUTION = 1.0
TARGET_EPOCHS = 20
"""Epochs between two targets of the clusters."""
LINES = 10
"""Lines of each part of the training in the log."""


def train(
    components: NDArray[np.float64],
    A: csr_matrix,
    schedule: Schedule,
    *,
    sample: NDArray[np.integer] | None = None,
    device: str = "cpu",
    checkpoint: Checkpoint = UNSAVED,
    report: Reporter = SILENT,
) -> Singles:
    """Train DeepST's network, and return what it makes of the spots.

    Parameters
    ----------
    components
        (N, C) of expression.
    A
        (N, N) from ``graph.adjacency``.
    schedule
        Epochs, weights and seed.
    sample
        (N,) number of each spot's sample: then the embedding is kept from telling samples apart.
    device
        As torch names it.
    checkpoint
        Where to save the state; training goes on from what is there.
    report
        Is told epochs, losses and the time left.

    Returns
    -------
    (N, 28) float32: the code of the spot's expression (20) and of its neighbourhood's (8).

    Notes
    -----
    On the CPU one thread, so that the result does not depend on how many there are; every random number comes
    from the seed. Memory is linear in spots and edges.
    """
    training = _Training(components, A, schedule, sample, torch.device(device))
    with _one_thread():
        training.go_on_from(checkpoint.load(), report)
        training.pretrain(checkpoint, report)
        embedding = training.embedding()
    if not schedule.epochs:
        return embedding
    labels = None if training.has_clusters else _communities(embedding, schedule.seed)
    with _one_thread():  # again: the search for neighbours sets torch's threads too
        if labels is not None:
            training.start_clusters(embedding, labels, report)
        training.cluster(checkpoint, report)
        return training.embedding()


def _communities(embedding: Singles, seed: int) -> Labels:
    k = min(START_NEIGHBORS, len(embedding))
    graph = neighbor_graph(embedding, k, seed=seed).connectivities
    return Leiden(graph, seed=seed).at(START_RESOLUTION).labels


class _Training:
    """A network, its optimiser and its random numbers between two epochs."""

    def __init__(
        self,
        components: NDArray[np.float64],
        A: csr_matrix,
        schedule: Schedule,
        sample: NDArray[np.integer] | None,
        device: torch.device,
    ) -> None:
        self.schedule = schedule
        self.x = torch.from_numpy(components.astype(np.float32)).to(device)
        self.edges = Edges(with_loops(A), device)
        self.norm = edge_norm(A)
        self.adversary: Adversary | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(schedule.seed)
            self.network = Network(self.x.shape[1], schedule.conv_type).to(device)
            if sample is not None:
                self.adversary = Adversary(sample, device)
        learners = [self.network] if self.adversary is None else [self.network, self.adversary]
        self.parameters = [parameter for learner in learners for parameter in learner.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=schedule.lr, weight_decay=DECAY, fused=True)
        self.generator = torch.Generator(device).manual_seed(schedule.seed)
        self.epoch = 0
        """Epochs done, of both parts."""
        self.target: Tensor | None = None
        self.centroids: nn.Parameter | None = None
        self.labels: Tensor | None = None

    def pretrain(self, checkpoint: Checkpoint, report: Reporter) -> None:
        """Learn to reconstruct components and graph."""
        last = self.schedule.pre_epochs
        log = _Log("pre-training", self.epoch, last, report)
        while self.epoch < last:
            loss = self._step(masked(self.x, MASKED, self.generator))
            self.epoch += 1
            report.progress(self.epoch, last + self.schedule.epochs, "epochs")
            log.epoch(self.epoch, loss)
            checkpoint.save(self.state)

    @property
    def has_clusters(self) -> bool:
        """Whether the second part has begun."""
        return self.centroids is not None

    def start_clusters(self, z: Singles, labels: Labels, report: Reporter) -> None:
        """Put a centroid into the middle of every community of the embedding."""
        centroids = np.stack([z[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
        report.log(f"{len(centroids)} clusters to start from")
        self._add_centroids(torch.from_numpy(centroids))
        self.labels = torch.from_numpy(labels.astype(np.int64)).to(self.x.device)

    def cluster(self, checkpoint: Checkpoint, report: Reporter) -> None:
        """Learn to sharpen the clusters too, until no spot changes between two targets."""
        first, last = self.schedule.pre_epochs, self.schedule.pre_epochs + self.schedule.epochs
        log = _Log("training", self.epoch - first, last - first, report)
        while self.epoch < last:
            done = self.epoch - first
            if done % TARGET_EPOCHS == 0 and not self._new_target() and done:
                report.log(f"no label changes any more: stopped after {done} epochs")
                report.progress(last, last, "epochs")
                break
            loss = self._step(self.x)
            self.epoch += 1
            report.progress(self.epoch, last, "epochs")
            log.epoch(self.epoch - first, loss)
            checkpoint.save(self.state)

    def embedding(self) -> Singles:
        """What the network makes of the spots, without noise: (N, 28)."""
        self.network.eval()
        with torch.no_grad():
            z: Singles = self.network(self.x, self.edges, self.generator).z.cpu().numpy()
        self.network.train()
        return z

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next epoch depends on."""
        found = {f"network/{name}": _array(value) for name, value in self.network.state_dict().items()}
        if self.adversary is not None:
            found |= {f"adversary/{name}": _array(v) for name, v in self.adversary.state_dict().items()}
        for i, parameter in enumerate(self._all_parameters()):
            found |= {f"adam/{i}/{name}": _array(v) for name, v in self.optimizer.state[parameter].items()}
        if self.centroids is not None and self.target is not None and self.labels is not None:
            found |= {"centroids": _array(self.centroids), "target": _array(self.target)}
            found["labels"] = _array(self.labels)
        return found | {"epoch": np.array(self.epoch), "generator": _array(self.generator.get_state())}

    def go_on_from(self, state: Mapping[str, np.ndarray] | None, report: Reporter) -> None:
        """Take up a state that was saved."""
        if state is None:
            return
        self.epoch = int(state["epoch"])
        self.network.load_state_dict(_under("network", state))
        if self.adversary is not None:
            self.adversary.load_state_dict(_under("adversary", state))
        if "centroids" in state:
            self._add_centroids(torch.from_numpy(state["centroids"]))
            self.target = torch.from_numpy(state["target"]).to(self.x.device)
            self.labels = torch.from_numpy(state["labels"]).to(self.x.device)
        for i, parameter in enumerate(self._all_parameters()):
            own = _under(f"adam/{i}", state)
            if own:
                # Fused, the optimizer counts its steps on the device too.
                self.optimizer.state[parameter] = {
                    name: value.to(self.x.device) for name, value in own.items()
                }
        self.generator.set_state(torch.from_numpy(state["generator"]))
        report.log(f"{self.epoch} epochs were done before")

    def _all_parameters(self) -> list[nn.Parameter]:
        return self.parameters if self.centroids is None else [*self.parameters, self.centroids]

    def _add_centroids(self, centroids: Tensor) -> None:
        self.centroids = nn.Parameter(centroids.to(self.x.device))
        self.optimizer.add_param_group({"params": [self.centroids]})

    def _new_target(self) -> int:
        """Sharpen the present assignment, and return how many labels it changes."""
        assert self.centroids is not None
        assert self.labels is not None
        with torch.no_grad():
            z = torch.from_numpy(self.embedding()).to(self.x.device)
            self.target = sharpened(soft_assignment(z, self.centroids))
            labels = self.target.argmax(dim=1)
        changed = int(torch.ne(labels, self.labels).sum())
        self.labels = labels
        return changed

    def _step(self, seen: Tensor) -> Tensor:
        """One epoch on what is seen of the components; return its loss."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.epoch)
        self.optimizer.zero_grad()
        encoded = self.network(seen, self.edges, self.generator)
        weights = self.schedule.weights
        loss = reconstruction_loss(encoded, self.x, self.edges, self.norm, weights, self.generator)
        if self.target is not None and self.centroids is not None:
            q = soft_assignment(encoded.z, self.centroids)
            loss = loss + weights.kl * nn.functional.kl_div(q.log(), self.target, reduction="batchmean")
        if self.adversary is not None:
            loss = loss + self.schedule.adversary_weight * self.adversary(encoded.z)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._all_parameters(), STEEPEST)
        self.optimizer.step()
        return loss.detach()


class _Log:
    """Tells of one part of the training: a line every tenth of it, with the time left."""

    def __init__(self, name: str, done: int, total: int, report: Reporter) -> None:
        self._name, self._total, self._report = name, total, report
        self._first, self._start = done, time.monotonic()

    def epoch(self, done: int, loss: Tensor) -> None:
        if done * LINES // self._total == (done - 1) * LINES // self._total:
            return
        left = (time.monotonic() - self._start) / (done - self._first) * (self._total - done)
        self._report.log(
            f"{self._name}: epoch {done} of {self._total}, loss {loss.item():.4f}, {left:.0f} s left"
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _array(value: Any) -> np.ndarray:
    array: np.ndarray = value.detach().cpu().numpy()
    return array


def _under(prefix: str, state: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {
        name.removeprefix(start): torch.from_numpy(np.array(value))
        for name, value in state.items()
        if name.startswith(start)
    }
