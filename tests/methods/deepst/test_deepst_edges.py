"""The sparse loss and its gradients against the reference's dense form, written down plainly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from spatialrun.methods.deepst.convolution import Attention, convolution
from spatialrun.methods.deepst.edges import Edges, aggregate, edge_cross_entropy, softmax
from spatialrun.methods.deepst.graph import edge_norm, with_loops
from spatialrun.methods.deepst.network import Encoded, reconstruction_loss, soft_assignment
from spatialrun.methods.deepst.schedule import CONV_TYPES, Weights

CPU = torch.device("cpu")


def drawn(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    values = scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_()


@pytest.fixture(scope="module")
def edges(layers) -> Edges:
    return Edges(with_loops(layers.graph), CPU)


def dense_loss(encoded: Encoded, x, adjacency, norm: float, weights: Weights) -> torch.Tensor:
    """What the reference computes, spots by spots."""
    predicted = torch.sigmoid(encoded.z @ encoded.z.t())
    bce = norm * binary_cross_entropy_with_logits(predicted * adjacency, adjacency * adjacency)
    mean, logvar = encoded.mean, encoded.logvar
    divergence = torch.sum(1 + 2 * logvar - mean.pow(2) - logvar.exp().pow(2), 1)
    kld = -0.5 / len(x) * torch.mean(divergence)
    return weights.mse * mse_loss(encoded.decoded, x) + weights.bce_kld * (bce + kld)


@pytest.mark.parametrize("weights", [Weights(), Weights(mse=10, bce_kld=0.1, kl=100)])
def test_loss_and_gradients_are_those_of_the_dense_form(layers, edges, weights) -> None:
    adjacency = torch.from_numpy(with_loops(layers.graph).toarray().astype(float))
    norm = edge_norm(layers.graph)
    x = drawn(300, 50, seed=9).detach()
    found = []
    for sparse in (True, False):
        encoded = Encoded(
            drawn(300, 28), drawn(300, 8, seed=1), drawn(300, 8, seed=2, scale=0.3), drawn(300, 50, seed=3)
        )
        if sparse:
            loss = reconstruction_loss(encoded, x, edges, norm, weights, None)
        else:
            loss = dense_loss(encoded, x, adjacency, norm, weights)
        loss.backward()
        found.append([loss.detach(), *(part.grad for part in encoded)])
    for sparse, dense in zip(*found, strict=True):
        np.testing.assert_allclose(sparse, dense, rtol=1e-5, atol=1e-9)
    # The entropy's own gradient is small beside the others': it is compared by itself, too.
    z = drawn(300, 28)
    edge_cross_entropy(z, edges, norm).backward()
    own = drawn(300, 28)
    predicted = torch.sigmoid(own @ own.t()) * adjacency
    (norm * binary_cross_entropy_with_logits(predicted, adjacency)).backward()
    assert own.grad.abs().max() > 0
    np.testing.assert_allclose(z.grad, own.grad, rtol=1e-5, atol=1e-12)


def test_gradients_of_softmax_and_aggregation(edges) -> None:
    few = Edges(with_loops(_ring(7)), CPU)
    values, X = drawn(few.n_edges), drawn(7, 3, seed=1)
    assert torch.autograd.gradcheck(lambda v: softmax(v, few), values)
    assert torch.autograd.gradcheck(lambda v, features: aggregate(v, features, few), (values, X))
    shares = softmax(drawn(edges.n_edges), edges)
    np.testing.assert_allclose(np.bincount(edges.targets, shares.detach()), 1.0)


@pytest.mark.parametrize(("n_in", "n_out"), [(20, 64), (64, 8)])
def test_attention_is_torch_geometrics(edges, n_in, n_out) -> None:
    from torch_geometric.nn import GATConv

    theirs = GATConv(n_in, n_out).double()
    ours = Attention(n_in, n_out).double()
    with torch.no_grad():
        theirs.bias.copy_(drawn(n_out, seed=4))
        ours.weight.copy_(theirs.lin.weight)
        ours.source.copy_(theirs.att_src[0])
        ours.target.copy_(theirs.att_dst[0])
        ours.bias.copy_(theirs.bias)
    one, other = drawn(300, n_in), drawn(300, n_in)
    wanted, found = theirs(one, edges.pairs()), ours(other, edges)
    np.testing.assert_allclose(found.detach(), wanted.detach(), rtol=1e-9, atol=1e-12)
    wanted.square().sum().backward()
    found.square().sum().backward()
    np.testing.assert_allclose(other.grad, one.grad, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.weight.grad, theirs.lin.weight.grad, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("conv_type", CONV_TYPES)
def test_every_convolution_that_deepst_names(edges, conv_type) -> None:
    torch.manual_seed(0)
    hidden = convolution(conv_type, 20, 64)
    last = convolution(conv_type, 64, 8)
    x = drawn(300, 20).float().detach().requires_grad_()
    found = last(torch.relu(hidden(x, edges)), edges)
    assert found.shape == (300, 8)
    found.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_soft_assignment_by_hand() -> None:
    z, centroids = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    powers = np.array([(1 + 9 / 0.9) ** -0.95, (1 + 1 / 0.9) ** -0.95])
    np.testing.assert_allclose(soft_assignment(z, centroids)[0], powers / powers.sum(), rtol=1e-6)


def _ring(n: int):
    from scipy.sparse import csr_matrix

    spot = np.arange(n)
    one_way = csr_matrix((np.ones(n, np.float32), (spot, (spot + 1) % n)), shape=(n, n))
    return (one_way + one_way.T).tocsr()
