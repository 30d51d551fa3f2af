"""Ends a process at a chosen step of what it does to the disk, or to a bucket; and looks at what it left.

Every step that changes something outside the process is a point: making a folder, opening a file to write, giving
it its name, linking, removing; putting, copying and deleting objects. They are counted as they are about to be
done, by Python's own audit events and around the client of object stores, so that no code of spatialrun's has to
help. Killing before each, and again with the file that is to be written left torn, is killing everywhere.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR
PATHS = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.remove": 0, "os.rmdir": 0, "os.symlink": 1}
"""The events that change something, and which argument names what they change."""
IN_BUCKETS = ("put", "put_async", "copy", "delete", "delete_async")
CLAIMED = ("/store/store.json", "/store/actions/", "/store/leases/", "/store/findings/")
"""What, without hard links, is opened under its own name to claim that, and has nothing written to it there."""
GENES = 40
ANY = "*"


class Points:
    """Counts the points of this process, and ends it at one of them.

    Parameters
    ----------
    root
        Where they are counted.
    at
        The number of the point to end at, from 0; ``None`` to count alone.
    torn
        Whether to leave the file half written that is opened there.
    refuse
        Instead of ending the process, refuse that step and all after it with this error number: the disk is
        full (files can be removed all the same), or the permission is lost, and stays so.
    within
        What the paths contain of what is refused.
    """

    def __init__(
        self,
        root: str,
        at: int | None = None,
        *,
        torn: bool = False,
        refuse: int | None = None,
        within: str = "",
    ) -> None:
        self.within = within
        self.root, self.at, self.torn, self.refuse = root, at, torn, refuse
        self.seen: list[str] = []
        self._over = False
        self._turn = threading.Lock()
        self._thread = threading.local()  # what one thread does meanwhile is no less a point

    def end(self) -> None:
        """Count no more."""
        self._over = True

    def watch(self) -> None:
        """Begin; it ends with the process."""
        sys.addaudithook(self._hear)
        import obstore

        for name in IN_BUCKETS:
            setattr(obstore, name, self._counted(name, getattr(obstore, name)))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._over or getattr(self._thread, "inside", False):
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str) and flags & WRITES and path.startswith(self.root):
                self._pass(f"write {path}", path)
        elif event in PATHS:
            path = os.fspath(arguments[PATHS[event]])
            if self._changes(event, path, arguments):
                self._pass(f"{event.removeprefix('os.')} {path}")

    def _changes(self, event: str, path: str, arguments: tuple[Any, ...]) -> bool:
        """Whether something is about to change: folders are made, and files removed, in vain as well."""
        if not path.startswith("/"):
            return event in ("os.remove", "os.rmdir") and arguments[1] != -1  # within a tree that goes
        if not path.startswith(self.root):
            return False
        if event == "os.mkdir":
            return not Path(path).exists() and Path(path).parent.exists()
        return event not in ("os.remove", "os.rmdir") or os.path.lexists(path)

    def _counted(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(bucket: Any, *arguments: Any, **more: Any) -> Any:
            what = arguments[1] if name == "copy" else arguments[0]
            self._pass(f"{name} {what[0] if isinstance(what, list) else what}")
            return act(bucket, *arguments, **more)

        return counted

    def _pass(self, what: str, path: str | None = None) -> None:
        """Count a point, and end there."""
        self._thread.inside = True
        try:
            with self._turn:
                number = len(self.seen)
                self.seen.append(_kind(what.replace(self.root, "")))
                if number == self.at and self.refuse is None:
                    if self.torn and path is not None:
                        Path(path).write_bytes(self._part_of(path))
                    os.kill(os.getpid(), signal.SIGKILL)
            spared = self.refuse == errno.ENOSPC and what.split()[0] in ("remove", "rmdir", "rename")
            spared = spared or self.within not in what
            if self.refuse is not None and self.at is not None and number >= self.at and not spared:
                raise OSError(self.refuse, os.strerror(self.refuse), path)
        finally:
            self._thread.inside = False

    def _part_of(self, path: str) -> bytes:
        """Return what is there of a file that is half written."""
        claimed = path.replace(self.root, "").startswith(CLAIMED) and not Path(path).name.startswith(".")
        return b"" if claimed else b'{"'


def _kind(what: str) -> str:
    """Return a point's kind: what is done to which sort of file."""
    what = re.sub(r"([0-9a-f]{32}-)?\d{8}-\d{6}-[0-9a-f]{6}|[0-9a-f]{8,}", ANY, what)
    what = re.sub(r"/[0-9a-f]{2}(?=/|$)", f"/{ANY}", what)
    return re.sub(rf"(data/\{ANY}|view\.zarr)/.+/(c(/\d+)*/\d+|[^/]+)", rf"\1/{ANY}/\2", what)


def lab_of(root: str, url: str | None = None, steps: str | None = None) -> Any:
    """Return the bench of a folder, whose store may be in a bucket."""
    from lab import Lab

    class Anywhere(Lab):
        @property
        def text(self) -> str:
            return super().text.replace("store: store", f"store: {url or 'store'}", 1)

    home = Path(root).parent
    return Anywhere(Path(root), {"a": home / "a.h5ad"}, steps or recipe(home))


def recipe(home: Path) -> str:
    """Reading, blocks of genes, a step on the cohort with a figure, and an export."""
    flag = home / "flag"
    return f"""\
  - {{id: read, uses: read.h5ad}}
  - {{id: sums, uses: test.blocks, with: {{flag: {flag}}}}}
  - {{id: joined, uses: test.joining, with: {{flag: {flag}}}}}
  - {{id: table, uses: export.table, with: {{what: obs, path: out.csv}}}}
"""


def warm(home: Path) -> None:
    """Import and compile what applying takes, by applying once: to a folder that goes at once."""
    import steps_of_tests

    from spatialrun.execute import reliance
    from spatialrun.store import leases

    steps_of_tests.register()
    # So that points come in one order, and nobody is taken for dead.
    reliance.HEARTBEAT = leases.SILENCE = 3600.0
    root = home / f"warm-{os.getpid()}"
    assert apply(str(root), watch=False)["errors"] == []
    shutil.rmtree(root)


def _in_one_order() -> None:
    """Do one thing after another, whose order would be left to chance; forget the threads of the parent."""
    import dask.threaded

    from spatialrun.store import remote, zarr_stores

    remote.AT_ONCE = zarr_stores.WRITES_AT_ONCE = 1
    dask.threaded.pools.clear()
    dask.threaded.default_pool = None


def apply(
    root: str,
    url: str | None = None,
    edits: tuple[str, ...] = (),
    at: int | None = None,
    torn: bool = False,
    watch: bool = True,
    steps: str | None = None,
    leases: bool = True,
    links: bool = True,
    refuse: int | None = None,
    within: str = "",
) -> dict[str, Any]:
    """Apply the recipe, to the point where it ends; return what came of it.

    It may be done without regard to others' ``leases``, on a file system without hard ``links``, and on one that
    refuses to be written from that point on.
    """
    from lab import digests, statuses

    from spatialrun.errors import SpatialrunError
    from spatialrun.execute.events import ignore
    from spatialrun.execute.options import Options
    from spatialrun.store.leases import Leases

    _in_one_order()
    os.fsync = _nothing  # what a killed process has written is there, flushed to the disk or not
    if not leases:
        Leases.take = lambda *_: True
    lab = lab_of(root, url, steps)
    loaded = lab.load(*edits)
    if not links:
        os.link = _no_link
    points = Points(root, at, torn=torn, refuse=refuse, within=within)
    if watch:
        points.watch()
    try:
        outcome = loaded.apply(Options(jobs=1, memory=2 * 10**9), ignore)
    except SpatialrunError as error:
        return {"errors": [str(error)], "codes": [error.code], "points": points.seen}
    points.end()
    export = lab.root / "out.csv"
    found = {" ".join(name): digest for name, digest in digests(outcome.run).items()}
    return {
        "errors": [str(error) for error in outcome.errors],
        "codes": [error.code for error in outcome.errors],
        "changed": outcome.changed,
        "status": outcome.run.status,
        "tasks": {step: s for name in ("a", "_cohort") for step, s in statuses(outcome.run, name).items()},
        "digests": found,
        "export": export.read_text() if export.exists() else "",
        "points": points.seen,
    }


def _nothing(_: int) -> None:
    pass


def _no_link(_: Any, target: Any, **__: Any) -> None:
    """Answer as Linux does where a file system has no hard links."""
    code = errno.EEXIST if os.path.lexists(target) else errno.EPERM
    raise OSError(code, os.strerror(code))


def collect(root: str, url: str | None = None, at: int | None = None, torn: bool = False) -> dict[str, Any]:
    """Collect all but the newest run, to the point where it ends."""
    from spatialrun.store import gc
    from spatialrun.store.store import open_store

    _in_one_order()
    store = open_store(url or lab_of(root).store)
    points = Points(root, at, torn=torn)
    points.watch()
    gone = gc.collect(store, gc.Policy(keep_runs=1, grace=0))
    return {"gone": len(gone.attempts), "points": points.seen}


def look(root: str, url: str | None = None) -> list[str]:
    """Return what a reader finds amiss: a store is whole, as far as it goes, whoever was killed in it."""
    from spatialrun.errors import StoreError
    from spatialrun.store.store import open_store
    from spatialrun.store.verify import verify

    lab = lab_of(root, url)
    try:
        store = open_store(url or lab.store)
    except StoreError as error:
        return [] if error.code == "store.missing" else [str(error)]
    found = verify(store)
    amiss = [f"{fault.path}: {fault.what}" for fault in found.faults]
    amiss += [f"a finding about {finding.uses}" for finding in found.findings]
    latest = store.runs.latest()
    for name in store.runs.names():
        run = store.runs.get(name)
        lost = [ref.path for task in run.tasks.values() for ref in task.outputs.values() if ref.path]
        amiss += [f"{path} of run {name} is gone" for path in lost if not store.backend.exists(path)]
        if not store.backend.remote and run.slots("a"):
            amiss += _view_of(store.backend.local(f"runs/{name}/view.zarr"))
    if latest is None and store.backend.get("latest") is not None:
        amiss.append("the newest run cannot be read")
    return amiss


def copy(folder: str, url: str) -> None:
    """Copy a store that lies in a folder to another place, as people do: file by file."""
    from spatialrun.store.remote import RemoteBackend

    backend = RemoteBackend(url)
    for path in Path(folder).rglob("*"):
        if path.is_file():
            backend.put(path.relative_to(folder).as_posix(), path.read_bytes())


def _view_of(path: Path) -> list[str]:
    """Return what is amiss with a run's view."""
    import anndata

    try:
        return [] if anndata.read_zarr(path / "tables" / "a").n_obs else ["the view is empty"]
    except Exception as error:
        return [f"the view cannot be opened: {error}"]


def recover(
    root: str,
    url: str | None = None,
    edits: tuple[str, ...] = (),
    thorough: bool = True,
    links: bool = True,
) -> dict[str, Any]:
    """Look at what is there, and apply once more; nothing is unlocked, and nobody is waited for.

    Thoroughly, it is also planned before, applied in vain, collected, and looked at for a second time.
    """
    from spatialrun.store import gc
    from spatialrun.store.store import open_store

    amiss = look(root, url)
    lab = lab_of(root, url)
    if thorough:
        lab.plan(*edits)
    again = apply(root, url, edits, watch=False, links=links)
    if thorough:
        quiet = apply(root, url, edits, watch=False, links=links)
        amiss += ["applied once more, it changes something"] if quiet["changed"] else []
        store = open_store(url or lab.store)
        gc.collect(store, gc.Policy(keep_runs=1, grace=0, partial_age=0, temporary_age=0))
        amiss += look(root, url)
        amiss += _leftovers(store)
    return {**again, "amiss": amiss}


def _leftovers(store: Any) -> list[str]:
    """Return what a collection without grace has left that nobody needs."""
    records = [store.actions.read(key) for key in store.actions.keys()]  # noqa: SIM118
    used = {record.attempt for record in records if record}
    kept = [f"data/{name}" for name in store.backend.list("data") if name not in used]
    kept += [f"runs/{name}" for name in set(store.backend.list("runs")) - set(store.runs.names())]
    for folder in ("partial", "intents", "leases", "tombstones"):
        kept += [facts.path for facts in store.backend.walk(folder)]
    return [f"{path} is left over" for path in kept]
