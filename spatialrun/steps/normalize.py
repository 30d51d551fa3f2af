"""Normalisation."""

from __future__ import annotations

from spatialrun.steps.contract import Context, Inputs, Outputs, Parameters, Shape, Step, parameter
from spatialrun.steps.on_anndata import functions_of


class NormalizeLogParams(Parameters):
    layer: str = parameter("counts", "Layer of raw counts.")
    target_sum: float | None = parameter(
        1e4, "Total of every spot after scaling; null for the median of all spots.", unit="counts", gt=0
    )
    norm_added: str = parameter("norm", "Layer of the scaled counts.", output_name=True)
    key_added: str = parameter("lognorm", "Layer of log(1 + scaled counts).", output_name=True)


class NormalizeLog(Step):
    """Scale every spot to the same depth and take log(1 + x); spots without counts stay zero."""

    name = "normalize.log"
    Params = NormalizeLogParams
    READS = {"counts": "layers/{layer}"}
    WRITES = {"norm": "layers/{norm_added}", "lognorm": "layers/{key_added}"}

    def memory(self, shape: Shape, params: NormalizeLogParams) -> int:
        """Counts (8 bytes a nonzero), their scaled values twice in float64, and the two float32 results."""
        return 28 * shape.nnz + 64 * shape.n_obs

    def run(self, inputs: Inputs, params: NormalizeLogParams, context: Context) -> Outputs:
        from spatialrun.methods.normalize import log1p, to_depth

        norm = to_depth(inputs["counts"].read(), params.target_sum)
        return {"norm": norm, "lognorm": log1p(norm)}


__getattr__ = functions_of(__name__)
