"""spatialrun: declarative, cached, resumable recipes for spatial transcriptomics."""

__version__ = "0.1.0"
