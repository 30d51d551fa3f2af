"""Spatial domains by DeepST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from spatialrun.errors import DataError, Where
from spatialrun.methods.deepst.schedule import LR, ConvType
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    StagedStep,
    parameter,
)
from spatialrun.steps.domains import categories

if TYPE_CHECKING:
    from spatialrun.methods import deepst

PREPARED_WITH = 150_000_000
"""Memory of scikit-learn once it is imported, and of blocks of spots that components are computed in."""
LEARNT_WITH = 650_000_000
"""Memory of torch, umap and their compiled code."""


class LossWeights(Parameters):
    """Weights of the parts of the loss."""

    mse: float = parameter(1.0, "Of the reconstruction of the components.", ge=0)
    bce_kld: float = parameter(1.0, "Of the graph's reconstruction and the code's divergence.", ge=0)
    kl: float = parameter(1.0, "Of the sharpening of clusters.", ge=0)


DISTRIBUTIONS = (
    "igraph",
    "scanpy",
    "scikit-learn",
    "scikit-misc",
    "torch",
    "torch_geometric",
    "umap-learn",
)
"""What decides the numbers of both steps."""


class DeepstParams(Parameters):
    """What ``domains.deepst`` and ``integrate.deepst`` share."""

    layer: str = parameter("counts", "Layer of raw counts.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    use_image: bool = parameter(
        False, "Whether neighbours must look alike in the tissue image to lend expression."
    )
    image_features: str = parameter(
        "image.texture", "Array of obsm with features of the image (embed.image), where `use_image` is set."
    )
    n_genes: int | None = parameter(
        3000,
        "Highly variable genes (vst) that are used; null for all, as in the published code.",
        unit="genes",
        ge=2,
    )
    pca_n_comps: int = parameter(200, "Principal components that are learnt from.", unit="components", ge=2)
    spatial_k: int = parameter(
        30, "Nearest spots among which those with like expression are looked for.", unit="spots", ge=1
    )
    neighbour_k: int = parameter(
        4, "Ranks by likeness that are looked at; neighbour_k - 1 spots lend expression.", unit="spots", ge=2
    )
    keep_nearest: bool = parameter(
        True, "Whether the spot most alike lends expression too; the published code skips it."
    )
    adjacent_weight: float = parameter(0.3, "Weight of the expression lent by neighbours.", ge=0)
    target_sum: float = parameter(1.0, "Counts of a spot before the logarithm.", unit="counts", gt=0)
    clip: float | None = parameter(
        10.0, "Largest absolute z-score; null for none, as in the published code.", gt=0
    )
    n_domains: int = parameter(
        7, "How many domains; exactly as many are found.", unit="domains", late=True, ge=2
    )
    priori: bool = parameter(
        True,
        "Whether there are `n_domains`; otherwise as many as stand apart best (Calinski and Harabasz' score).",
        late=True,
    )
    knn_k: int = parameter(
        12, "Neighbours of a spot in the graph that is learnt.", unit="spots", late=True, ge=1
    )
    pre_epochs: int = parameter(200, "Epochs before there are clusters.", unit="epochs", late=True, ge=1)
    epochs: int = parameter(200, "Most epochs with clusters.", unit="epochs", late=True, ge=0)
    conv_type: ConvType = parameter("GATConv", "Graph convolution.", late=True)
    lr: float = parameter(
        LR,
        "Learning rate, which falls to 0; at the published 5e-4 the network hardly leaves its random start.",
        late=True,
        gt=0,
    )
    loss_weights: LossWeights = parameter(
        LossWeights(), "Weights of the parts of the loss; the published class has 10, 0.1 and 100.", late=True
    )
    shape: Literal["hexagon", "square", "none"] = parameter(
        "hexagon",
        "The array, whose 6 or 4 nearest spots vote on each spot; none refines nothing.",
        late=True,
    )
    clustering: Literal["leiden", "mixture"] = parameter(
        "leiden",
        "How `n_domains` are found in the embedding: Leiden communities, or a Gaussian mixture.",
        late=True,
    )
    smooth: bool = parameter(
        True,
        "Whether the embedding is averaged over those spots before it is partitioned; the published one is not.",
        late=True,
    )
    seed: int = parameter(0, "Seed of weights, noise and the partition.", late=True, ge=0)

    def schedule(self, adversary_weight: float = 0.0) -> deepst.Schedule:
        """As the method takes it."""
        from spatialrun.methods import deepst

        weights = self.loss_weights.into(deepst.Weights)
        return self.into(deepst.Schedule, weights=weights, adversary_weight=adversary_weight)

    def image(self) -> list[Read]:
        """The features that are looked at, as a read; none without the image."""
        return [Read("features", f"obsm/{self.image_features}")] if self.use_image else []

    def memory(self, shape: Shape) -> int:
        """The larger of two peaks: of counts with those that neighbours lend, and of the training.

        As measured from 1,500 to 50,000 spots. A gene is among what neighbour_k spots hold together as if they
        held it independently.
        """
        size = shape.n_obs * shape.n_vars
        held = size * (1 - (1 - shape.nnz / max(size, 1)) ** self.neighbour_k)
        prepared = 8 * shape.nnz + 30 * held + self.pca_n_comps * (12 * shape.n_obs + 24 * shape.n_vars)
        learnt = shape.n_obs * (24 * self.pca_n_comps + 100 * self.knn_k + 6000)
        return int(max(PREPARED_WITH + prepared, LEARNT_WITH + learnt))


class DomainsDeepstParams(DeepstParams):
    key_added: str = parameter(
        "deepst", "Beginning of the columns' names, and the embedding's.", output_name=True
    )


class DomainsDeepst(StagedStep):
    """Find domains by a graph autoencoder of expression that like neighbours lend each other (DeepST).

    Domains are numbered by size, 0 the largest; there are exactly ``n_domains``, refined ones too, unless
    ``priori`` is false. Training is saved every few seconds: when it is killed, the next run goes on from there.
    Runs on the first GPU, or on the CPU.
    """

    name = "domains.deepst"
    version = 3
    resource = "gpu"
    determinism = "seeded"
    distributions = DISTRIBUTIONS
    Params = DomainsDeepstParams
    cite = "Xu et al. 2022, doi 10.1093/nar/gkac901"
    READS = {"counts": "layers/{layer}", "spatial": "obsm/{spatial_key}"}
    WRITES = {
        "domain": "obs/{key_added}.domain",
        "refined": "obs/{key_added}.refined",
        "embedding": "obsm/{key_added}.embedding",
    }

    def reads(self, params: DomainsDeepstParams, site: Site) -> Sequence[Read]:
        return [*super().reads(params, site), *params.image()]

    def memory(self, shape: Shape, params: DomainsDeepstParams) -> int:
        return params.memory(shape)

    def setup(self, inputs: Inputs, params: DomainsDeepstParams, context: Context) -> Outputs:
        from spatialrun.methods import deepst

        found = deepst.components(
            [inputs["counts"].read()],
            [inputs["spatial"].read()],
            params.into(deepst.Augmentation),
            features=inputs["features"].read() if params.use_image else None,
        )
        return {"components": found}

    def combine(
        self, setup: Inputs, inputs: Inputs, params: DomainsDeepstParams, context: Context
    ) -> Outputs:
        from spatialrun.methods import deepst

        (found,) = deepst.domains(
            setup["components"].read(),
            [inputs["spatial"].read()],
            params.into(deepst.Partitioning),
            params.schedule(),
            device=context.device,
            checkpoint=context.checkpoint,
            report=context,
        )
        n_found = int(found.domain.max()) + 1
        return {
            "domain": categories(found.domain, n_found),
            "refined": categories(found.refined, n_found),
            "embedding": found.embedding,
        }


class IntegrateDeepstParams(DeepstParams):
    lr: float = parameter(
        0.003,
        "Learning rate, which falls to 0; at the rate of one sample the network gives way to the adversary.",
        gt=0,
    )
    adversary_weight: float = parameter(
        0.3,
        "Weight of keeping the embedding from telling samples apart; 0 for not at all. 1 mixes them no better.",
        ge=0,
    )
    key_added: str = parameter(
        "deepst", "Beginning of the columns' names, and the embedding's.", output_name=True
    )


class IntegrateDeepst(CohortStep):
    """Find domains that samples share: one DeepST model, kept from telling samples apart.

    Genes that all samples have are used; spots are neighbours within a sample. A classifier learns to tell
    samples apart from the embedding, and the network learns against it. There are exactly ``n_domains`` in all,
    numbered by size over all samples; a sample may lack some.
    """

    name = "integrate.deepst"
    version = 3
    resource = "gpu"
    determinism = "seeded"
    distributions = DISTRIBUTIONS
    Params = IntegrateDeepstParams
    cite = "Xu et al. 2022, doi 10.1093/nar/gkac901"
    READS = {"counts": "layers/{layer}", "spatial": "obsm/{spatial_key}", "genes": "axes/var"}
    WRITES = {
        "domain": "obs/{key_added}.integrated",
        "refined": "obs/{key_added}.integrated.refined",
        "embedding": "obsm/{key_added}.integrated.embedding",
    }

    def reads(self, params: IntegrateDeepstParams, site: Site) -> Sequence[Read]:
        return [*super().reads(params, site), *params.image()]

    def memory(self, shape: Shape, params: IntegrateDeepstParams) -> int:
        return params.memory(shape)

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: IntegrateDeepstParams, context: Context
    ) -> Mapping[str, Outputs]:
        import numpy as np
        import pandas as pd

        from spatialrun.methods import deepst

        members = list(inputs.values())
        places = [own["spatial"].read() for own in members]
        shared = deepst.on_shared_genes(
            [own["counts"].read() for own in members], [pd.Index(own["genes"].read()) for own in members]
        )
        context.log(f"{len(members)} samples share {shared[0].shape[1]} genes.")
        features = [own["features"].read() for own in members] if params.use_image else None
        if features and len({own.shape[1] for own in features}) > 1:
            raise DataError(
                "data.values",
                "samples have different numbers of image features",
                where=Where(slot=f"obsm/{params.image_features}"),
                hint="Make them with the same embed.image.",
            )
        found = deepst.domains(
            deepst.components(
                shared,
                places,
                params.into(deepst.Augmentation),
                features=np.concatenate(features) if features else None,
            ),
            places,
            params.into(deepst.Partitioning),
            params.schedule(params.adversary_weight),
            device=context.device,
            checkpoint=context.checkpoint,
            report=context,
        )
        n_found = max(int(own.domain.max()) + 1 for own in found)
        return {
            sample: {
                "domain": categories(own.domain, n_found),
                "refined": categories(own.refined, n_found),
                "embedding": own.embedding,
            }
            for sample, own in zip(inputs, found, strict=True)
        }
