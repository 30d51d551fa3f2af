"""Vitessce's view configuration of a SpatialData store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA = "1.0.17"
VIEWS = (
    ("spatialBeta", 0, 0, 6, 9),
    ("layerControllerBeta", 0, 9, 6, 3),
    ("featureList", 6, 0, 3, 6),
    ("obsSets", 9, 0, 3, 6),
    ("obsSetFeatureValueDistribution", 6, 6, 6, 6),
)
"""View, and its x, y, width and height on a grid of twelve columns."""


def configuration(
    url: str, groups: Mapping[str, Sequence[str]], images: Mapping[str, str | None], name: str
) -> dict[str, Any]:
    """Return the configuration.

    Parameters
    ----------
    url
        Of the store.
    groups
        Sample to columns of obs by which spots can be chosen.
    images
        Sample to the image under its spots, if any.
    name
        Title.
    """
    first = next(iter(groups))
    scopes = {"dataset": "A", "obsType": "A", "featureType": "A", "featureValueType": "A"}
    return {
        "version": SCHEMA,
        "name": name,
        "description": "Made by spatialrun; choose a sample by its dataset.",
        "datasets": [
            {"uid": sample, "name": sample, "files": [_file(url, sample, groups[sample], images[sample])]}
            for sample in groups
        ],
        "coordinationSpace": {
            "dataset": {"A": first},
            "obsType": {"A": "spot"},
            "featureType": {"A": "gene"},
            "featureValueType": {"A": "expression"},
        },
        "layout": [
            {"component": component, "coordinationScopes": scopes, "x": x, "y": y, "w": w, "h": h}
            for component, x, y, w, h in VIEWS
        ],
        "initStrategy": "auto",
    }


def _file(url: str, sample: str, groups: Sequence[str], image: str | None) -> dict[str, Any]:
    table, region = f"tables/{sample}", f"{sample}_spots"
    options: dict[str, Any] = {
        "obsFeatureMatrix": {"path": f"{table}/X", "region": region},
        "obsSpots": {
            "path": f"shapes/{region}",
            "tablePath": table,
            "region": region,
            "coordinateSystem": sample,
        },
    }
    if groups:
        sets = [{"name": group, "path": f"{table}/obs/{group}"} for group in groups]
        options["obsSets"] = {"obsSets": sets, "tablePath": table, "region": region}
    if image:
        options["image"] = {"path": f"images/{sample}_{image}", "coordinateSystem": sample}
    return {
        "fileType": "spatialdata.zarr",
        "url": url,
        "options": options,
        "coordinationValues": {
            "obsType": "spot",
            "featureType": "gene",
            "featureValueType": "expression",
        },
    }
