"""Archives: a run as one zip file to keep beside a paper or to run elsewhere.

It holds the recipe, the versions that it ran with, the manifest, the provenance, figures and tables; not the
matrices, which the recipe computes. The same run makes the same bytes.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

from spatialrun.errors import UsageError
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.crate import METADATA, Place, describe
from spatialrun.store.runs import Run
from spatialrun.store.store import Store
from spatialrun.store.sweep import TABLE, sweep

README = """\
A run of spatialrun: {id}
{rule}

recipe.yaml             what was run, as one file; paths in it are relative to where it lay
sources/                the files that it was made of, as they were written
requirements.txt        the versions that decided the numbers (python {python})
manifest.json           every sample's slots with the digests of their contents
{metadata:<23} who made what from what (RO-Crate 1.1): open it at https://www.researchobject.org
figures/, tables/       what the run drew, and its tables as CSV

To run it elsewhere

    pip install -r requirements.txt
    spatialrun check recipe.yaml      (says which inputs are missing; name their places in `samples:`)
    spatialrun apply recipe.yaml
"""


def export_run(store: Store, run: Run, target: Path) -> tuple[str, ...]:
    """Write the archive of a run and return the names of the files in it.

    Raises
    ------
    UsageError
        Where the file cannot be written.
    StoreError
        ``store.corrupt`` where a figure or table is damaged.
    """
    exported: dict[Place, str] = {}
    contents: dict[str, bytes] = {}
    taken: set[str] = set()
    for place, name, suffix, content in _results(store, run):
        exported[place] = _free(name, suffix, taken)
        contents[exported[place]] = content
    versions = _versions(store, run)
    facts = {"id": run.id, "rule": "=" * (len(run.id) + 23), "python": versions.pop("python", "?")}
    contents["README.txt"] = README.format(**facts, metadata=METADATA).encode()
    contents["recipe.yaml"] = store.runs.recipe(run.id).encode()
    contents |= {f"sources/{name}": text.encode() for name, text in store.runs.written(run.id).items()}
    contents["requirements.txt"] = "".join(f"{n}=={v}\n" for n, v in sorted(versions.items())).encode()
    contents["manifest.json"] = run.to_bytes()
    sizes = {name: len(contents[name]) for name in sorted(contents)}
    contents[METADATA] = json.dumps(describe(run, sizes, exported), indent=1).encode()
    try:
        _write(target, contents, datetime.fromisoformat(run.created))
    except OSError as error:
        what = f"{target} cannot be written: {error.strerror or error}"
        raise UsageError("usage", what, hint="name another file") from error
    return tuple(sorted(contents))


def _results(store: Store, run: Run) -> Iterator[tuple[Place, str, str, bytes]]:
    """Yield place, name, suffix and content of every figure, and of every table as CSV."""
    for task in run.tasks.values():
        for sample, slot, ref in task.places():
            where = f"{safe(sample)}/{safe(name_of(slot))}"
            if group_of(slot) == "figures":
                value = store.element(ref).read()
                yield (sample, slot), f"figures/{where}", value.suffix, value.content
            elif ref.kind == "table":
                csv = store.element(ref).read().to_csv(lineterminator="\n")
                yield (sample, slot), f"tables/{where}", ".csv", csv.encode()
    if (found := sweep(run)) is not None:
        csv = found.to_csv(index=False, lineterminator="\n")
        yield (COHORT, TABLE), f"tables/{COHORT}/{TABLE}", ".csv", csv.encode()


def _free(name: str, suffix: str, taken: set[str]) -> str:
    """Take a file's name; where another has it, numbered. Some systems do not tell capitals apart."""
    names = (f"{name}-{number}{suffix}" if number > 1 else f"{name}{suffix}" for number in count(1))
    found = next(each for each in names if each.casefold() not in taken)
    taken.add(found.casefold())
    return found


def _versions(store: Store, run: Run) -> dict[str, str]:
    """Return the versions of the distributions that a run's results were made with."""
    found = dict(run.versions)
    for key in sorted({task.key for task in run.tasks.values() if task.key}):
        record = store.actions.read(key)
        found |= record.provenance.get("versions", {}) if record else {}
    return {name: version for name, version in found.items() if version != "absent"}


def _write(target: Path, contents: dict[str, bytes], created: datetime) -> None:
    """Write a zip file that depends on nothing but its contents and the time of the run."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, created.timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, contents[name])


def safe(name: str) -> str:
    """Return a name that is one part of a path on every system."""
    flat = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)
    return flat.lstrip(".").rstrip(". ") or "_"
