"""Experiments: what a run has made, opened to work with.

Printing an experiment reads only the run's manifest; values are read when they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun import markup
from spatialrun.errors import RecipeErrors, StoreError, UsageError, Where
from spatialrun.listing import (
    WIDTH,
    describe_metadata,
    describe_run,
    describe_sample,
    describe_size,
    list_groups,
    shared_slots,
    size,
)
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run
from spatialrun.store.store import Store, open_store
from spatialrun.store.sweep import TABLE, has_sweep, sweep
from spatialrun.store.view import matrix_slot, write_view

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData

RECIPE_SUFFIXES = (".yaml", ".yml")


def open_experiment(
    store: str | os.PathLike[str], run: str | None = None, profile: str | Sequence[str] = ()
) -> Experiment:
    """Open what a run has made.

    Parameters
    ----------
    store
        The store's folder, or a recipe's file (its store is opened).
    run
        A run's id; the newest by default.
    profile
        The recipe's profile, or several, under which it was applied: they may name another store.

    Raises
    ------
    StoreError
        ``store.missing``, ``store.not-a-store``, ``store.newer-format``; ``store.no-run`` where there is no such
        run, or none yet.
    RecipeErrors
        Where a recipe is given that cannot be read.
    """
    opened = open_place(store, profile)
    found = opened.runs.latest() if run is None else opened.runs.get(run)
    if found is None:
        raise StoreError(
            "store.no-run",
            "the store has no run yet",
            where=Where(file=opened.url),
            hint="`spatialrun apply RECIPE` makes one",
        )
    return Experiment(opened, found)


def open_place(place: str | os.PathLike[str], profile: str | Sequence[str] = ()) -> Store:
    """Open a store by its place, or by a recipe's file (with its profiles).

    Raises
    ------
    StoreError
        ``store.missing``, ``store.not-a-store``, ``store.newer-format``.
    RecipeErrors
        Where a recipe is given that cannot be read, or lacks a profile.
    UsageError
        Where a profile is given, but no recipe.
    """
    return open_store(_store_of(place, profile))


def find_place(place: str | os.PathLike[str], profile: str | Sequence[str] = ()) -> Store | None:
    """Open a store as :func:`open_place` does; ``None`` where a recipe is given that has made none yet."""
    try:
        return open_place(place, profile)
    except StoreError as error:
        if error.code == "store.missing" and Path(place).suffix in RECIPE_SUFFIXES:
            return None
        raise


class Experiment:
    """A run's samples and what is known of them.

    ``experiment["p2-t5"]`` is that sample as AnnData in memory.

    Attributes
    ----------
    store
        The store.
    run
        The run.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self.store = store
        self.run = run

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of the samples, in the recipe's order."""
        return tuple(self.run.samples)

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __contains__(self, sample: object) -> bool:
        return sample in self.samples

    def __getitem__(self, sample: str) -> AnnData:
        """Read a sample into memory.

        ``X`` is ``layers/lognorm`` where there is one, else the counts; it is a copy, so that what changes it in
        place leaves the layer alone. ``uns["spatial"][sample]`` holds images (y, x, c) and scale factors as
        ``scanpy.pl.spatial`` expects them. Figures are left out.

        Raises
        ------
        StoreError
            ``store.unknown-name``, or ``store.corrupt`` where an object is damaged.
        """
        from anndata import AnnData

        slots = self._slots(sample)
        adata = AnnData(obs=self.table(sample, "obs"), var=self.table(sample, "var"))
        for slot in slots:
            group, name = group_of(slot), name_of(slot)
            if group in ("layers", "obsm", "varm", "obsp", "varp", "uns") and slot != "uns/spatial":
                getattr(adata, group)[name] = self._read(slots[slot])
        if matrix := matrix_slot(slots):
            adata.X = adata.layers[name_of(matrix)].copy()
        if spatial := self._spatial(slots):
            adata.uns["spatial"] = {sample: spatial}
        return adata

    def lazy(self, sample: str) -> AnnData:
        """Open a sample without reading it: matrices are dask arrays, tables are read by the column.

        Sums over lazy sparse matrices fail in dask itself; load a part first (``adata[:, genes].to_memory()``) or
        map over the blocks (``adata.X.map_blocks(...)``).

        Raises
        ------
        StoreError
            ``store.unknown-name``.
        """
        import zarr
        from anndata.experimental import read_lazy

        self._slots(sample)
        view = self.store.backend.zarr(self._view())
        root = zarr.open_group(view, mode="r", zarr_format=3)  # its consolidated metadata spare a walk
        return read_lazy(root["tables"][sample])

    def tables(self, sample: str) -> tuple[str, ...]:
        """Name what :meth:`table` reads of a sample: ``obs``, ``var`` and the tables in ``uns``.

        Raises
        ------
        StoreError
            ``store.unknown-name``, with the nearest name.
        """
        slots = self._slots(sample)
        names = [axis for axis in ("obs", "var") if f"axes/{axis}" in slots]
        names += [name_of(slot) for slot, ref in slots.items() if _is_table(slot, ref)]
        if sample == COHORT and TABLE not in names and has_sweep(self.run):
            names.append(TABLE)
        return tuple(names)

    def table(self, sample: str, name: str) -> pd.DataFrame:
        """Read a table.

        Parameters
        ----------
        sample
            A sample, or ``_cohort`` for the tables of all samples together.
        name
            ``obs``, ``var`` or the name of a table in ``uns``; of the cohort also ``sweep``: what the steps
            measured for every combination of a matrix.

        Raises
        ------
        StoreError
            ``store.unknown-name``, with the nearest name.
        """
        import pandas as pd

        slots = self._slots(sample)
        own = f"uns/{TABLE}" in slots
        if (sample, name) == (COHORT, TABLE) and not own and (found := sweep(self.run)) is not None:
            return found
        if name not in (known := self.tables(sample)):
            raise self._unknown("table", name, known, sample)
        if (slot := f"uns/{name}") in slots and _is_table(slot, slots[slot]):
            table: pd.DataFrame = self._read(slots[slot])
            return table
        columns = {name_of(slot): self._read(ref) for slot, ref in slots.items() if group_of(slot) == name}
        return pd.DataFrame(columns, index=pd.Index(self._read(slots[f"axes/{name}"])))

    def markers(self, sample: str, domain: str | int, name: str = "spagcn.markers") -> pd.DataFrame:
        """Read the markers of one domain, sorted by fold change.

        Parameters
        ----------
        sample
            A sample, or ``_cohort`` for the markers of domains over all samples.
        domain
            The domain's name.
        name
            The table, as ``markers.spagcn`` or ``markers.cohort`` wrote it.

        Raises
        ------
        StoreError
            ``store.unknown-name`` where there is no such table, no such domain, or the table is not one of
            domains.
        """
        table = self.table(sample, name)
        if "domain" not in table:
            tables = [slot for slot, ref in self._slots(sample).items() if _is_table(slot, ref)]
            of_domains = [s for s in tables if "domain" in self._slots(sample)[s].meta["columns"]]
            raise self._unknown("table of domains", name, [name_of(slot) for slot in of_domains], sample)
        domains = [str(category) for category in table["domain"].astype("category").cat.categories]
        if str(domain) not in domains:
            raise self._unknown("domain", str(domain), domains, sample)
        own = table[table["domain"].astype(str) == str(domain)].drop(columns="domain")
        own = own.sort_values("fc", ascending=False, kind="stable") if "fc" in own else own
        return own.reset_index(drop=True)

    def image(self, sample: str, name: str = "hires") -> xr.DataArray:
        """Read an image: dimensions c, y, x; ``attrs["scalef"]`` is image pixels per full-resolution pixel.

        Raises
        ------
        StoreError
            ``store.unknown-name``, with the nearest name.
        """
        slots = self._slots(sample)
        if f"images/{name}" not in slots:
            images = [name_of(slot) for slot in slots if group_of(slot) == "images"]
            raise self._unknown("image", name, images, sample)
        image: xr.DataArray = self._read(slots[f"images/{name}"])
        return image

    @property
    def figures(self) -> dict[str, Path]:
        """The files of the run's figures, by ``<sample>/<figure>``."""
        folder = f"runs/{self.run.id}/figures"
        return {
            f"{sample}/{name_of(slot)}": self.store.backend.local(
                f"{folder}/{sample}/{name_of(slot)}{ref.meta['suffix']}"
            )
            for sample in (*self.samples, COHORT)
            for slot, ref in self.run.slots(sample).items()
            if group_of(slot) == "figures"
        }

    @cached_property
    def view(self) -> Path:
        """The run as a SpatialData store; every ``tables/<sample>`` in it is one that AnnData opens.

        Of a store in a bucket the view is made, within the bucket, when it is first asked for, and brought here
        for the life of this process. :meth:`lazy` reads it where it is; ``experiment[sample]`` needs none.
        """
        return self.store.backend.local(self._view())

    def describe(self, sample: str, width: int = WIDTH) -> str:
        """Describe a sample: its size, then group by group what it holds, wrapped to ``width`` characters.

        Raises
        ------
        StoreError
            ``store.unknown-name``.
        """
        self._check(sample)
        return describe_sample(self.run, sample, width)

    def __str__(self) -> str:
        return describe_run(self.run)

    def __repr__(self) -> str:
        return f"<experiment {self.store.url}, run {self.run.id}: {', '.join(self.samples)}>"

    def _repr_html_(self) -> str:
        samples = markup.table(
            (name, describe_metadata(self.run, name), describe_size(self.run.slots(name)))
            for name in self.samples
        )
        groups = markup.table(
            (group, ", ".join(entries)) for group, entries in list_groups(shared_slots(self.run)).items()
        )
        held = markup.folded("what every sample holds", groups)
        return markup.box("experiment", f"run {self.run.id}: {self.run.status}", samples, held)

    def _view(self) -> str:
        """Return the path of the view, which is made where there is none; what makes it whole is written last."""
        path = f"runs/{self.run.id}/view.zarr"
        if self.store.backend.remote:
            whole = b'"consolidated_metadata"' in (self.store.backend.get(f"{path}/zarr.json") or b"")
        else:
            whole = self.store.backend.exists(path)
        return path if whole else write_view(self.store, self.run)

    def _spatial(self, slots: Mapping[str, ObjectRef]) -> dict[str, Any]:
        """Join scale factors and images in the form that scanpy reads."""
        value = dict(self._read(slots["uns/spatial"])) if "uns/spatial" in slots else {}
        images = {name_of(s): self._read(ref) for s, ref in slots.items() if group_of(s) == "images"}
        if value or images:
            scales = {f"tissue_{name}_scalef": image.attrs["scalef"] for name, image in images.items()}
            value["scalefactors"] = scales | dict(value.get("scalefactors", {}))
            value["images"] = {n: image.transpose("y", "x", "c").to_numpy() for n, image in images.items()}
        return value

    def _slots(self, sample: str) -> dict[str, ObjectRef]:
        self._check(sample)
        slots = self.run.slots(sample)
        if sample != COHORT and size(slots) is None:
            raise StoreError(
                "store.unknown-name",
                f"sample {sample!r} has no data in this run: reading it did not come to its end",
                where=Where(file=self.store.url, sample=sample),
                hint="`spatialrun log` tells why",
            )
        return slots

    def _check(self, sample: str) -> None:
        if sample not in self.run.samples and sample != COHORT:
            raise self._unknown("sample", sample, self.samples)

    def _read(self, ref: ObjectRef) -> Any:
        return self.store.element(ref).read()

    def _unknown(
        self, kind: str, name: str, known: list[str] | tuple[str, ...], sample: str | None = None
    ) -> StoreError:
        # Imported here because it brings the recipe's room along, which opening a store does not need.
        from spatialrun.recipe.problems import choices, nearest

        near = nearest(name, known)
        return StoreError(
            "store.unknown-name",
            f"run {self.run.id} has no {kind} {name!r}",
            where=Where(file=self.store.url, sample=sample),
            hint=f"did you mean {near!r}?" if near else f"there are: {choices(known)}",
        )


def _store_of(place: str | os.PathLike[str], profile: str | Sequence[str]) -> str | Path:
    """Return the store's place itself, or the one that a recipe names."""
    path = Path(place)
    if path.suffix not in RECIPE_SUFFIXES or path.is_dir():
        if profile:
            hint = "name the recipe instead of its store"
            raise UsageError("usage", f"{place} is a store: profiles are a recipe's", hint=hint)
        return place if isinstance(place, str) else path
    from spatialrun.recipe.loader import check

    recipe, problems = check(path, profile=profile)
    fatal = [problem for problem in problems if problem.code == "recipe.unknown-profile"]
    if recipe is None or not recipe.store or fatal:
        raise RecipeErrors(fatal or problems)
    return recipe.store_url or str(recipe.store_path)


def _is_table(slot: str, ref: ObjectRef) -> bool:
    return group_of(slot) == "uns" and ref.kind == "table"
