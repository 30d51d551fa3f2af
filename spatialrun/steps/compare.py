"""Comparing results."""

from __future__ import annotations

from spatialrun.steps.contract import Context, Inputs, Outputs, Parameters, Shape, Step, parameter
from spatialrun.steps.labels import as_labels
from spatialrun.steps.on_anndata import functions_of


class CompareLabelsParams(Parameters):
    labels: str = parameter(..., "Column of obs with the labels that were found.")
    annotation: str = parameter(..., "Column of obs with the labels that are known.")
    key_added: str = parameter("comparison", "Beginning of the tables' names.", output_name=True)


class CompareLabels(Step):
    """Measure how well domains agree with an annotation: ARI, NMI, and each domain's best match.

    Spots without a label in either column are left out, and counted. Three tables: ``scores``, ``domains``
    (one row per domain: best match, precision, recall, Jaccard index), ``contingency`` (spots by both labels).
    """

    name = "compare.labels"
    Params = CompareLabelsParams
    distributions = ("scikit-learn",)
    cite = "Hubert & Arabie 1985, doi 10.1007/BF01908075; Rosenberg & Hirschberg 2007"
    READS = {"labels": "obs/{labels}", "annotation": "obs/{annotation}"}
    WRITES = {
        "scores": "uns/{key_added}.scores",
        "domains": "uns/{key_added}.domains",
        "contingency": "uns/{key_added}.contingency",
    }

    def memory(self, shape: Shape, params: CompareLabelsParams) -> int:
        """Both columns, as codes and as texts."""
        return 400 * shape.n_obs

    def run(self, inputs: Inputs, params: CompareLabelsParams, context: Context) -> Outputs:
        from spatialrun.methods.labels import agreement

        found = agreement(
            as_labels(inputs["labels"].read(), params.labels),
            as_labels(inputs["annotation"].read(), params.annotation),
        )
        scores = found.scores["value"]
        context.log(f"ARI {scores['ari']:.3f}, NMI {scores['nmi']:.3f} over {scores['n_spots']:.0f} spots")
        context.measure(ari=scores["ari"], nmi=scores["nmi"], n_spots=scores["n_spots"])
        return {"scores": found.scores, "domains": found.domains, "contingency": found.contingency}


__getattr__ = functions_of(__name__)
