"""What interpreters have. The devices here are claimed: none of these tests needs one, or finds one."""

import platform
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from spatialrun import interpreters
from spatialrun.errors import UsageError
from spatialrun.interpreters import Device, Interpreters
from spatialrun.version import __version__


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


class TestVersions:
    def test_this_interpreter_and_another_process_of_it_have_the_same(self, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(Path(interpreters.__file__).parents[1]))
        names = ("numpy", "no-such-distribution")
        here, there = (Interpreters().versions(python, names) for python in (None, sys.executable))
        assert here == there
        assert here.distributions == {"numpy": np.__version__, "no-such-distribution": None}
        assert here.spatialrun == __version__

    def test_each_is_asked_once(self, monkeypatch):
        asked = []
        answer = {"python": "3.12.1", "spatialrun": __version__, "versions": {}}
        monkeypatch.setattr(interpreters, "_ask", lambda *question: asked.append(question) or answer)
        found = Interpreters()
        for _ in range(3):
            found.check("/opt/python")
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("version", "said"), [("0.0.1", "has spatialrun 0.0.1"), (None, "no spatialrun")]
    )
    def test_another_spatialrun_is_refused(self, monkeypatch, version, said):
        answer = {"python": "3.12.1", "spatialrun": version, "versions": {}}
        monkeypatch.setattr(interpreters, "_ask", lambda *_: answer)
        with pytest.raises(UsageError, match=said) as raised:
            Interpreters().check("/opt/python")
        assert raised.value.code == "interpreter.versions"
        assert __version__ in raised.value.hint

    def test_an_interpreter_without_spatialrun(self, tmp_path):
        bare = program(tmp_path / "python", f'exec {sys.executable} -I -S "$@"')
        found = Interpreters().versions(bare, ("numpy",))
        assert (found.python, found.distributions) == (platform.python_version(), {"numpy": None})
        with pytest.raises(UsageError, match="no spatialrun"):
            Interpreters().check(bare)

    def test_one_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match="cannot be started") as raised:
            Interpreters().check(str(tmp_path / "python"))
        assert (raised.value.code, raised.value.where.file) == (
            "interpreter.missing",
            str(tmp_path / "python"),
        )

    def test_one_that_is_no_python(self, tmp_path):
        path = program(tmp_path / "python", "echo one; echo 'no such luck' >&2; exit 3")
        with pytest.raises(UsageError, match="no such luck") as raised:
            Interpreters().check(path)
        assert raised.value.code == "interpreter.broken"

    def test_one_that_hangs(self, tmp_path, monkeypatch):
        monkeypatch.setattr(interpreters, "PATIENCE", 0.2)
        path = program(tmp_path / "python", "exec sleep 60")
        with pytest.raises(UsageError, match="within") as raised:
            Interpreters().check(path)
        assert raised.value.code == "interpreter.broken"


class TestDevices:
    def test_without_a_driver_none_is_asked_for(self, monkeypatch):
        monkeypatch.setattr(interpreters, "_has_a_driver", lambda: False)
        monkeypatch.setattr(interpreters, "_ask", None)
        assert Interpreters().devices(None) == ()
        assert Interpreters().kind(None, "auto") == "cpu"

    def test_what_is_claimed(self, claimed_devices):
        claimed_devices("cuda:0", "cuda:1")
        found = Interpreters().devices(None)
        assert found[1] == Device("cuda:1", "a device that is not there", 8 * 10**9)
        assert found[1].kind == "cuda"
        assert Interpreters().kind(None, "auto") == "cuda"

    def test_only_auto_has_to_ask(self, monkeypatch):
        monkeypatch.setattr(interpreters, "_has_a_driver", lambda: True)
        monkeypatch.setattr(interpreters, "_ask", None)
        kinds = [Interpreters().kind(None, wish) for wish in ("cpu", "cuda", "cuda:1", "mps")]
        assert kinds == ["cpu", "cuda", "cuda", "mps"]

    def test_one_that_has_gone_away_is_noticed_when_asked_anew(self, claimed_devices):
        claimed_devices("cuda:0")
        found = Interpreters()
        assert len(found.devices(None)) == 1
        claimed_devices()
        assert len(found.devices(None)) == 1
        found.forget_devices()
        assert found.devices(None) == ()

    def test_the_question_is_understood(self, monkeypatch):
        monkeypatch.setattr(interpreters, "_has_a_driver", lambda: True)
        found = Interpreters().devices(None)
        assert all(device.kind in ("cuda", "mps") and device.memory > 0 for device in found)
