"""The contract between a step type and the engine.

A step type is a class derived from :class:`Step` (one action), :class:`StagedStep` (a cached set-up, then
the result), :class:`StreamingStep` (a set-up, many resumable blocks, then the result) or :class:`CohortStep`
(one action on several samples together). It declares its
parameters, the slots it reads and writes, and how much memory it needs; it computes from lazy inputs and
returns plain values. It never opens the store, never prints, and never sees a path of the store or a thread
count that could change its result; of the samples' names only a cohort step knows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from spatialrun.slots import axes_of
from spatialrun.steps.parameters import Parameters, fill, parameter, parameter_names
from spatialrun.values import ColumnStream, FileBytes, Value

__all__ = [
    "Block",
    "CohortStep",
    "ColumnStream",
    "Context",
    "Element",
    "FileBytes",
    "Inputs",
    "Outputs",
    "Parameters",
    "Read",
    "Shape",
    "Site",
    "StagedStep",
    "Step",
    "StreamingStep",
    "Value",
    "Write",
    "fill",
    "implicit_reads",
    "parameter",
    "parameter_names",
]

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csc_matrix

    from spatialrun.methods.checkpoint import Checkpoint

Outputs = Mapping[str, Value]
"""Port name to value."""


@dataclass(frozen=True)
class Read:
    """A slot that a step reads, under the name (port) by which the step asks for it."""

    port: str
    slot: str
    optional: bool = False


@dataclass(frozen=True)
class Write:
    """A slot that a step writes, under the name (port) by which the step returns it."""

    port: str
    slot: str


@dataclass(frozen=True)
class Site:
    """What a step can know about its sample when it is planned.

    Attributes
    ----------
    path
        The sample's ``path``, made absolute; ``None`` where the recipe gives none.
    base
        The recipe's folder: paths in parameters are relative to it.
    step
        The step's id (default name of figures and exports).
    declared
        Every slot that some step writes for this sample; empty while writes are being asked for.
    """

    path: Path | None = None
    base: Path = field(default_factory=Path)
    step: str = ""
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shape:
    """Size of a sample, for memory estimates."""

    n_obs: int
    n_vars: int
    nnz: int


@dataclass(frozen=True)
class Block:
    """A range of genes (columns ``start`` to ``stop``) that is computed, saved and resumed as one."""

    start: int
    stop: int


class Element(Protocol):
    """A lazy handle on one stored value."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Encoding, shape, dtype and nnz, known without reading."""

    @property
    def path(self) -> Path:
        """Where a file or folder lies; only for ``files``."""

    def read(self) -> Value:
        """Load the whole value."""

    def columns(self, start: int, stop: int) -> csc_matrix:
        """Load columns ``start`` to ``stop`` of a matrix as CSC."""

    def level(self, least: float) -> Value:
        """Load an image at the coarsest level with ``least`` pixels along its longer side, or else the finest.

        Its ``scalef`` is that of the level.
        """

    def stream(self) -> ColumnStream:
        """Return a matrix as a stream of its columns, to be filtered or changed without being whole in memory."""


class Inputs(Protocol):
    """The lazy inputs of a step by port; absent optional ports are not in it."""

    @property
    def source(self) -> Path | None:
        """The sample's ``path``, for readers."""

    @property
    def externals(self) -> Mapping[str, Path]:
        """Files outside the store that the step named in :meth:`Step.externals`."""

    def __getitem__(self, port: str) -> Element: ...

    def __contains__(self, port: object) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...


class Context(Protocol):
    """What a running step may tell the engine and ask from it."""

    @property
    def threads(self) -> int:
        """How many threads it may use; the result must not depend on it."""

    @property
    def device(self) -> str:
        """The device that it computes on, as torch names it: ``cpu``; of a step whose resource is ``gpu`` it may
        be ``cuda`` or ``mps``.
        """

    @property
    def checkpoint(self) -> Checkpoint:
        """Where a long ``run`` or ``combine`` saves its state: a task that was killed goes on from there."""

    def log(self, message: str) -> None:
        """Add a line to the task's log."""

    def warn(self, message: str) -> None:
        """Add a warning to the task's log; it is shown at the end of the run too."""

    def progress(self, done: int, total: int, unit: str = "") -> None:
        """Report progress."""

    def measure(self, **values: float) -> None:
        """Report numbers that say how good a result is, or how much was found: columns of a sweep's table."""

    def folder(self, port: str) -> Path:
        """Return the empty folder to fill for a ``files`` output; the step returns it as the port's value."""

    def scratch(self) -> Path:
        """Return a folder for files too large for memory; a task that was killed finds there what it left.

        It goes when the stage (``setup``, ``run``) that asked for it is done.
        """

    def file(self, port: str) -> Path:
        """Return the path at which to write an ``exports`` output, a file or a folder that the step makes; the
        step returns it as the port's value.
        """


class Step(ABC):
    """A step type: a pure function with declared parameters, reads, writes and resources.

    The first line of the class's docstring is its summary in the catalogue.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type[Parameters]]
    scope: ClassVar[Literal["sample", "cohort"]] = "sample"
    """``cohort`` for a :class:`CohortStep`, and for no other."""
    resource: ClassVar[Literal["cpu", "gpu"]] = "cpu"
    """``gpu`` where it may use one: each task has a process of its own, and a device (``context.device``)."""
    determinism: ClassVar[Literal["bitwise", "seeded", "external"]] = "bitwise"
    distributions: ClassVar[tuple[str, ...]] = ()
    """Distributions whose major.minor version decides the numbers, and so enters the key."""
    cite: ClassVar[str | None] = None
    """The method's reference (authors, year, DOI)."""

    READS: ClassVar[Mapping[str, str]] = {}
    """Port to slot template: ``{"counts": "layers/{layer}"}``. A trailing ``?`` makes it optional."""
    WRITES: ClassVar[Mapping[str, str]] = {}
    """Port to slot template: ``{"padj": "var/{key_added}.padj"}``."""

    def reads(self, params: Any, site: Site) -> Sequence[Read]:
        """Return the slots it reads; override where they depend on more than templates can say."""
        del site
        return _reads(self.READS, params)

    def writes(self, params: Any, site: Site) -> Sequence[Write]:
        """Return the slots it writes; override where they depend on files (readers)."""
        del site
        return _writes(self.WRITES, params)

    def externals(self, params: Any, site: Site) -> Mapping[str, Path]:
        """Return the files outside the store that it reads, by role: their content enters the key.

        Raises
        ------
        DataError
            Where a file is missing or a folder is not laid out as expected: found before anything runs.
        """
        kind: type[Parameters] = type(params)
        return {
            name: site.base / value
            for name in sorted(parameter_names(kind, "path"))
            if (value := getattr(params, name)) is not None
        }

    def destination(self, params: Any) -> str | None:
        """Return the path of the file or folder that it exports, from the recipe; ``None`` for all others."""
        del params
        return None

    def peek(self, params: Any, site: Site) -> Shape | None:
        """Return the sample's size from file headers (readers only)."""
        del params, site
        return None

    def memory(self, shape: Shape, params: Any) -> int:
        """Estimate the peak memory in bytes, over the interpreter's own."""
        del params
        return 12 * shape.nnz + 64 * (shape.n_obs + shape.n_vars)

    @abstractmethod
    def run(self, inputs: Inputs, params: Any, context: Context) -> Outputs:
        """Compute every output from the inputs and parameters alone."""


class StagedStep(Step):
    """A step in two cached stages: ``setup`` sees no late parameter, ``combine`` makes the outputs."""

    @abstractmethod
    def setup(self, inputs: Inputs, params: Any, context: Context) -> Outputs:
        """Compute what the late parameters cannot change; cached as an action of its own."""

    @abstractmethod
    def combine(self, setup: Inputs, inputs: Inputs, params: Any, context: Context) -> Outputs:
        """Make the outputs from the set-up (lazy, by the names that ``setup`` returned)."""

    def run(self, inputs: Inputs, params: Any, context: Context) -> Outputs:
        """Not used: the engine runs the stages."""
        raise TypeError(f"{self.name} runs in stages")


class StreamingStep(StagedStep):
    """A staged step whose middle streams over blocks of genes.

    Each block is saved as it is done and never computed twice. The results of all blocks, concatenated along
    their first axis in the order of the blocks, reach ``combine`` through ``setup`` under their names with
    the prefix ``blocks/``.
    """

    @abstractmethod
    def blocks(self, setup: Inputs, inputs: Inputs, params: Any) -> Sequence[Block]:
        """Return the blocks; their boundaries may depend on shapes only."""

    def block_memory(self, shape: Shape, params: Any) -> int:
        """Estimate the memory in bytes of one block; the budget divided by it bounds the blocks in flight."""
        del params
        return 50_000_000 + 48 * shape.nnz

    @abstractmethod
    def load(self, setup: Inputs, params: Any) -> Any:
        """Load what all blocks share, once per process."""

    @abstractmethod
    def block(self, shared: Any, inputs: Inputs, params: Any, block: Block) -> Mapping[str, np.ndarray]:
        """Compute one block; arrays have the genes of the block along their first axis."""


class CohortStep(Step):
    """A step on all of its samples together: one task, which may write slots of each of them and of the cohort.

    ``reads`` and ``writes`` are asked once for every member, with the member's own site; ``cohort_reads`` and
    ``cohort_writes`` once, for the slots of the reserved sample ``_cohort`` (tables and figures of all members
    together). The members' names and their order enter the key: what is made may depend on both. So a renamed
    sample, or one more, makes the step run again.

    Memory is estimated for one sample with the spots and the non-zeros of all members, and as many genes as the
    largest.
    """

    scope = "cohort"

    COHORT_READS: ClassVar[Mapping[str, str]] = {}
    """As ``READS``, for slots of ``_cohort``."""
    COHORT_WRITES: ClassVar[Mapping[str, str]] = {}
    """As ``WRITES``, for slots of ``_cohort``."""

    def cohort_reads(self, params: Any, site: Site) -> Sequence[Read]:
        """Return the slots of ``_cohort`` that it reads."""
        del site
        return _reads(self.COHORT_READS, params)

    def cohort_writes(self, params: Any, site: Site) -> Sequence[Write]:
        """Return the slots of ``_cohort`` that it writes."""
        del site
        return _writes(self.COHORT_WRITES, params)

    @abstractmethod
    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: Any, context: Context
    ) -> Mapping[str, Outputs]:
        """Compute every output of every member.

        Parameters
        ----------
        inputs
            The members' inputs by the name of the sample, in the recipe's order; ``_cohort`` comes last where
            the step reads slots of the cohort, and is absent otherwise.
        params, context
            As for :meth:`Step.run`.

        Returns
        -------
        Mapping
            Outputs (port to value) by sample; those of the cohort itself under ``_cohort``.
        """

    def run(self, inputs: Inputs, params: Any, context: Context) -> Outputs:
        """Not used: the engine calls :meth:`run_cohort`."""
        raise TypeError(f"{self.name} runs on a cohort")


def implicit_reads(writes: Sequence[Write]) -> list[Read]:
    """Return the axes that outputs lie along, as reads (unless the step writes the axes itself)."""
    own = {write.slot for write in writes}
    axes = dict.fromkeys(axis for write in writes for axis in axes_of(write.slot))
    return [Read(axis, axis) for axis in axes if axis not in own]


def _reads(templates: Mapping[str, str], params: Parameters) -> list[Read]:
    return [
        Read(port, fill(template.removesuffix("?"), params), optional=template.endswith("?"))
        for port, template in templates.items()
    ]


def _writes(templates: Mapping[str, str], params: Parameters) -> list[Write]:
    return [Write(port, fill(template, params)) for port, template in templates.items()]
