"""Access: files that may not be read are said to be that, and not to be damaged (root may read all)."""

import errno
from pathlib import Path

import h5py
import pytest

from spatialrun.errors import DataError
from spatialrun.readers.hdf5 import open_hdf5
from spatialrun.readers.matrix import open_text


@pytest.mark.parametrize(
    ("owner", "method", "opened"),
    [(h5py, "File", open_hdf5), (Path, "open", open_text)],
    ids=["hdf5", "text"],
)
def test_a_refused_file_is_not_called_damaged(tmp_path, monkeypatch, owner, method, opened):
    path = tmp_path / "matrix"
    path.write_bytes(b"whole")

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(owner, method, refused)
    with pytest.raises(DataError) as caught, opened(path):
        pass
    assert (caught.value.code, caught.value.where.file) == ("data.bad-file", str(path))
    assert caught.value.what == "matrix cannot be read: permission denied"
    assert caught.value.hint == "check the file's mode"
