import numpy as np

from spatialrun.steps.contract import Parameters, Step, parameter


class GeneShare(Step):
    """Share of each spot's counts that chosen genes have."""

    name = "qc.share"
    READS = {"counts": "layers/counts", "genes": "axes/var"}
    WRITES = {"share": "obs/{key_added}"}

    class Params(Parameters):
        genes: list[str] = parameter(help="Names of genes.", min_length=1)
        key_added: str = parameter("share", "Column of obs.", output_name=True)

    def run(self, inputs, params, context):
        counts = inputs["counts"].read()
        chosen = np.isin(inputs["genes"].read(), params.genes)
        share = counts[:, chosen].sum(axis=1) / counts.sum(axis=1)
        return {"share": np.asarray(share).ravel()}
