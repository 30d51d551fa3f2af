"""The provenance of a run as an RO-Crate (https://w3id.org/ro/crate/1.1): files, and the actions that made them.

Who the author is and under which licence the results stand, no store knows: both are left to be filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run

Place = tuple[str, str]
"""A sample and a slot of it."""

SPECIFICATION = "https://w3id.org/ro/crate/1.1"
METADATA = "ro-crate-metadata.json"
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}


def describe(run: Run, files: Mapping[str, int], exported: Mapping[Place, str]) -> dict[str, Any]:
    """Return the metadata of an archive.

    Parameters
    ----------
    run
        The run.
    files
        Names in the archive, to sizes in bytes.
    exported
        Place of an object to the file of the archive that holds it.
    """
    tasks = [task for task in run.tasks.values() if task.outputs]
    held: dict[str, str] = {}
    for task in tasks:
        for sample, slot, ref in task.places():
            if (sample, slot) in exported:
                held.setdefault(ref.digest, exported[sample, slot])
    actions = [_action(number, task, exported, held) for number, task in enumerate(tasks, start=1)]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"spatialrun {run.id}",
        "description": f"A run of spatialrun on {', '.join(run.samples)}: recipe, provenance, figures, tables.",
        "datePublished": run.created,
        "license": "to be named by the author",
        "hasPart": [{"@id": name} for name in files],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    graph = [descriptor, root, *(_file(name, size) for name, size in files.items())]
    graph += [*_instruments(tasks), *_objects(tasks, held), *_parameters(tasks), *actions]
    return {"@context": f"{SPECIFICATION}/context", "@graph": graph}


def _file(name: str, size: int) -> dict[str, Any]:
    media = MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    return {"@id": name, "@type": "File", "name": name, "contentSize": str(size), "encodingFormat": media}


def _instruments(tasks: Iterable[TaskEntry]) -> list[dict[str, Any]]:
    """Describe each step type once."""
    versions = {task.uses: str(task.identity.get("version", "")) for task in tasks}
    return [
        {"@id": f"#{uses}", "@type": "SoftwareApplication", "name": uses, "softwareVersion": version}
        for uses, version in versions.items()
    ]


def _objects(tasks: Iterable[TaskEntry], held: Mapping[str, str]) -> list[dict[str, Any]]:
    """Describe, each once, the objects that were made and are not in the archive."""
    names = {ref.digest: f"{sample}: {slot}" for task in tasks for sample, slot, ref in task.places()}
    return [
        {"@id": f"#{digest}", "@type": "CreativeWork", "name": name, "identifier": digest}
        for digest, name in names.items()
        if digest not in held
    ]


def _parameters(tasks: Iterable[TaskEntry]) -> list[dict[str, Any]]:
    return [
        {"@id": _parameter(number, name), "@type": "PropertyValue", "name": name, "value": _plain(value)}
        for number, task in enumerate(tasks, start=1)
        for name, value in task.identity.get("params", {}).items()
    ]


def _action(
    number: int, task: TaskEntry, exported: Mapping[Place, str], held: Mapping[str, str]
) -> dict[str, Any]:
    """Describe how a task made its outputs; its parameters stand among its objects."""
    inputs = [digest for _, _, digest in task.identity.get("inputs", ())]
    params = [_parameter(number, name) for name in task.identity.get("params", {})]
    outputs = [
        exported.get((sample, slot)) or _object(ref.digest, held) for sample, slot, ref in task.places()
    ]
    action = {
        "@id": f"#task-{number}",
        "@type": "CreateAction",
        "name": f"{task.step} {task.sample}",
        "instrument": {"@id": f"#{task.uses}"},
        "object": [{"@id": id} for id in [*(_object(digest, held) for digest in inputs), *params]],
        "result": [{"@id": id} for id in outputs],
    }
    if started := task.facts.get("started"):
        ended = datetime.fromisoformat(started) + timedelta(seconds=task.facts.get("wall_s") or 0)
        action |= {"startTime": started, "endTime": ended.isoformat(timespec="seconds")}
    return action


def _parameter(number: int, name: str) -> str:
    return f"#task-{number}-{name}"


def _object(digest: str, held: Mapping[str, str]) -> str:
    return held.get(digest, f"#{digest}")


def _plain(value: Any) -> Any:
    """Return a parameter as RO-Crate may hold it: lists and mappings as text."""
    return value if isinstance(value, str | int | float | bool) else str(value)
