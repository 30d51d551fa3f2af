"""The samples of a recipe: by name, each a path or a mapping with its path and metadata.

A path may lead anywhere, through links too: data lie on other disks, and only its content counts.
"""

from __future__ import annotations

from types import MappingProxyType

from spatialrun.recipe.keys import RESERVED_SAMPLE_KEYS, SAMPLE_KEYS
from spatialrun.recipe.model import SampleEntry
from spatialrun.recipe.nodes import Atom, Entry, MapNode, Node, ScalarNode, describe, is_null
from spatialrun.recipe.problems import nearest, unknown
from spatialrun.recipe.values import Values


class SampleReader:
    """Reads samples one by one."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._problems = values.problems

    def read(self, name: str, entry: Entry) -> SampleEntry | None:
        """Read one sample; ``None`` where something is wrong with it."""
        before = len(self._problems)
        self._values.name("sample", name, entry.key)
        node = entry.value
        path: str | None = None
        metadata: dict[str, Atom] = {}
        if isinstance(node, MapNode):
            for key, inner in node.entries.items():
                if key == "path":
                    path = self._path(name, inner.value)
                elif self._is_metadata(key, inner, node, name) and isinstance(inner.value, ScalarNode):
                    metadata[key] = inner.value.value
        elif isinstance(node, ScalarNode):
            path = self._path(name, node)
        else:
            what = f"sample {name} must be a path or a mapping with its path, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark, sample=name)
        if len(self._problems) > before:
            return None
        return SampleEntry(name, path, MappingProxyType(metadata), entry.key.where(sample=name))

    def _path(self, name: str, node: Node) -> str | None:
        """Read the path; null says that there is none."""
        return None if is_null(node) else self._values.path(node, f"path of sample {name}", sample=name)

    def _is_metadata(self, key: str, entry: Entry, sample: MapNode, name: str) -> bool:
        """Whether a key of a sample is metadata: any is that does not look like a slip for ``path``."""
        if key in RESERVED_SAMPLE_KEYS:
            what = f"'{key}' is not a key that samples take"
            self._problems.add("recipe.unknown-key", what, entry.key, sample=name)
        elif "path" not in sample.entries and nearest(key, SAMPLE_KEYS, cutoff=0.75):
            what = unknown("key", key, SAMPLE_KEYS, of=f"sample {name}")
            self._problems.add("recipe.unknown-key", what, entry.key, sample=name)
        elif not isinstance(entry.value, ScalarNode):
            what = f"{key} of sample {name} must be a single value, found {describe(entry.value)}"
            self._problems.add("recipe.wrong-type", what, entry.value.mark, sample=name)
        else:
            return True
        return False
