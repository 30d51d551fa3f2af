from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from spatialrun.readers.transposition import Transposition

MATRIX = sparse.random(40, 30, density=0.3, format="csr", random_state=1)
MATRIX.data = np.arange(1, MATRIX.nnz + 1, dtype=np.int32)
SHAPE = (40, 30)


def part(rows: slice):
    """Some spots' counts in a matrix of all spots."""
    kept = sparse.lil_matrix(SHAPE, dtype=np.int32)
    kept[rows] = MATRIX[rows]
    return kept.tocsc()


def assert_whole(found):
    assert found.nnz == MATRIX.nnz
    matrix = found.tocsc()
    assert (matrix != MATRIX).nnz == 0
    assert matrix.dtype == np.int32
    assert matrix.has_sorted_indices
    for start, stop in ((0, 1), (3, 11), (29, 30), (5, 5)):
        assert (found.columns(start, stop) != MATRIX.tocsc()[:, start:stop]).nnz == 0


def test_parts_in_order_become_columns(tmp_path):
    made = Transposition(tmp_path, SHAPE, ordered=True)
    for number, first in enumerate(range(0, 40, 10)):
        assert not made.holds(number)
        made.add(number, part(slice(first, first + 10)))
    assert_whole(made.stream())


def test_parts_that_share_spots_are_added_up(tmp_path):
    made = Transposition(tmp_path, SHAPE, ordered=False)
    half = part(slice(0, 40))
    half.data //= 2
    made.add(0, (part(slice(0, 40)) - half).tocsc())
    made.add(1, half)
    assert_whole(made.stream())


def test_who_comes_later_goes_on(tmp_path):
    first = Transposition(tmp_path, SHAPE, ordered=True)
    first.add(0, part(slice(0, 25)))
    later = Transposition(tmp_path, SHAPE, ordered=True)
    assert [later.holds(number) for number in (0, 1)] == [True, False]
    later.add(1, part(slice(25, 40)))
    assert_whole(later.stream())


@pytest.mark.parametrize("damage", [b"", b"spatial", None])
def test_a_torn_part_counts_as_none(tmp_path, damage):
    Transposition(tmp_path, SHAPE, ordered=True).add(0, part(slice(0, 40)))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5] if damage is None else damage)
    assert not Transposition(tmp_path, SHAPE, ordered=True).holds(0)


def test_a_part_of_other_genes_counts_as_none(tmp_path):
    Transposition(tmp_path, SHAPE, ordered=True).add(0, part(slice(0, 40)))
    assert not Transposition(tmp_path, (40, 31), ordered=True).holds(0)


def test_somebody_else_may_clear_the_folder(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    made = Transposition(folder, SHAPE, ordered=True)
    made.add(0, part(slice(0, 20)))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    made.add(1, part(slice(20, 40)))
    assert_whole(made.stream())


def test_readers_in_several_processes_share_no_temporary_file(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr("spatialrun.readers.transposition.id", lambda _: 1, raising=False)
    monkeypatch.setattr(Path, "replace", lambda self, _: names.append(self.name))
    for _ in range(2):
        Transposition(tmp_path, SHAPE, ordered=True).add(0, part(slice(0, 40)))
    assert len(set(names)) == 2


def test_no_parts(tmp_path):
    assert Transposition(tmp_path, SHAPE, ordered=True).stream().tocsc().nnz == 0
