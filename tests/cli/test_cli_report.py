"""``report``: the page of a run, written again and shown."""

from __future__ import annotations

import errno
import shutil
import webbrowser

import pytest

from spatialrun.store.backend import refusal
from spatialrun.store.local import LocalBackend


@pytest.fixture
def shown(monkeypatch):
    """The addresses that a browser was asked for."""
    addresses = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.fixture
def read_only(store, tmp_path, monkeypatch):
    """A copy of the store that nobody may write to (root may write anywhere)."""
    copy = tmp_path / "store"
    shutil.copytree(store, copy)

    def refused(self, path, content):
        raise refusal(PermissionError(errno.EROFS, "Read-only file system"), self.root, "written")

    monkeypatch.setattr(LocalBackend, "put", refused)
    return copy


def test_the_page_of_a_read_only_store_is_shown_as_it_is(call, read_only, shown):
    (page,) = read_only.glob("runs/*/report.html")
    result = call("report", read_only, "--open")
    assert result.code == 0
    assert "warning: the page is as it was before: the store cannot be written" in result.err
    assert result.out.strip().endswith("report.html")
    assert shown == [page.as_uri()]


def test_a_page_that_is_asked_for_anew_must_be_written(call, read_only, shown):
    assert call("report", read_only).code == 4
    for page in read_only.glob("runs/*/report.html"):
        page.unlink()
    result = call("report", read_only, "--open")
    assert (result.code, shown) == (4, [])
    assert "store.permission" in result.err
