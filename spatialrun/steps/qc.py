"""Quality control."""

from __future__ import annotations

from spatialrun.steps.contract import Context, Inputs, Outputs, Parameters, Shape, Step, parameter
from spatialrun.steps.on_anndata import functions_of
from spatialrun.steps.regex import Regex


class QcMetricsParams(Parameters):
    layer: str = parameter("counts", "Layer of raw counts.")
    mt: Regex = parameter(
        "mt-", "Regular expression at the start of mitochondrial genes' symbols, case ignored."
    )


class QcMetrics(Step):
    """Depth, breadth and mitochondrial share of every spot; abundance and detection of every gene.

    Every reader already writes ``obs/total_counts`` and ``obs/n_genes_by_counts``, because its filters rest
    on them, and a slot has one writer: this step adds the rest. Names are scanpy's.
    """

    name = "qc.metrics"
    Params = QcMetricsParams
    READS = {"counts": "layers/{layer}", "genes": "axes/var"}
    WRITES = {
        "pct_counts_mt": "obs/pct_counts_mt",
        "log1p_total_counts": "obs/log1p_total_counts",
        "log1p_n_genes_by_counts": "obs/log1p_n_genes_by_counts",
        "mt": "var/mt",
        "n_cells_by_counts": "var/n_cells_by_counts",
        "mean_counts": "var/mean_counts",
        "total_counts": "var/total_counts",
        "pct_dropout_by_counts": "var/pct_dropout_by_counts",
    }

    def memory(self, shape: Shape, params: QcMetricsParams) -> int:
        """Counts, twice on the way to the sums."""
        return 20 * shape.nnz + 64 * (shape.n_obs + shape.n_vars)

    def run(self, inputs: Inputs, params: QcMetricsParams, context: Context) -> Outputs:
        import numpy as np

        from spatialrun.methods import qc

        counts = inputs["counts"].read()
        mt = qc.matching(inputs["genes"].read(), params.mt)
        if not mt.any():
            context.warn(f"no gene's symbol begins with {params.mt!r}: pct_counts_mt is 0 everywhere")
        spots, genes = qc.spot_metrics(counts), qc.gene_metrics(counts)
        return {
            "pct_counts_mt": qc.percent_of_total(counts, mt),
            "log1p_total_counts": np.log1p(spots.total_counts),
            "log1p_n_genes_by_counts": np.log1p(spots.n_genes_by_counts),
            "mt": mt,
            "n_cells_by_counts": genes.n_cells_by_counts,
            "mean_counts": genes.mean_counts,
            "total_counts": genes.total_counts,
            "pct_dropout_by_counts": genes.pct_dropout_by_counts,
        }


__getattr__ = functions_of(__name__)
