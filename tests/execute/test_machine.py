"""What a process may take of its machine, told by made-up folders of the system."""

import os

import pytest

from spatialrun.execute import machine
from spatialrun.execute.options import Options

MB = 10**6
NO_LIMIT = 9223372036854771712


@pytest.fixture
def system(tmp_path):
    """A machine with 8 GB free; writes a control group and asks how much of it is left."""

    class System:
        proc, groups = tmp_path / "proc", tmp_path / "cgroup"

        def belongs(self, *lines: str) -> None:
            (self.proc / "self").mkdir(parents=True, exist_ok=True)
            (self.proc / "self" / "cgroup").write_text("".join(f"{line}\n" for line in lines))

        def group(self, path: str, **files: object) -> None:
            folder = self.groups / path
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (folder / f"memory.{name}").write_text(f"{content}\n")

        def free(self) -> int:
            return machine.free_memory(self.proc, self.groups)

    found = System()
    found.belongs("0::/")
    (found.proc / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 7812500 kB\n")
    return found


class TestMemory:
    def test_without_a_limit_it_is_what_the_machine_has(self, system):
        system.group("", max="max", current=10 * MB)
        assert system.free() == 8000 * MB

    def test_a_group_leaves_what_it_has_not_used(self, system):
        system.belongs("0::/jobs/7")
        system.group("jobs/7", max=1000 * MB, current=300 * MB, stat="anon 1\ninactive_file 0")
        assert system.free() == 700 * MB

    def test_files_that_are_only_remembered_are_free(self, system):
        system.belongs("0::/jobs/7")
        stat = f"active_file {5 * MB}\ninactive_file {200 * MB}\nslab 3"
        system.group("jobs/7", max=1000 * MB, current=300 * MB, stat=stat)
        assert system.free() == 900 * MB

    def test_the_tightest_of_the_groups_around_it_counts(self, system):
        system.belongs("0::/slice/job/step")
        system.group("slice", max=5000 * MB, current=0)
        system.group("slice/job", max=2000 * MB, current=1500 * MB)
        system.group("slice/job/step", max="max", current=MB)
        assert system.free() == 500 * MB

    def test_one_that_is_full_leaves_nothing(self, system):
        system.group("", max=100 * MB, current=101 * MB)
        assert system.free() == 0

    def test_a_container_sees_its_own_group_as_the_root(self, system):
        system.belongs("0::/system.slice/docker-7.scope")
        system.group("", max=1000 * MB, current=0)
        assert system.free() == 1000 * MB

    def test_a_path_out_of_what_it_sees_is_not_followed(self, system):
        system.belongs("0::/../../other")
        (system.groups.parent / "other").mkdir()
        (system.groups.parent / "other" / "memory.max").write_text("1")
        (system.groups.parent / "other" / "memory.current").write_text("0")
        system.group("", max=1000 * MB, current=0)
        assert system.free() == 1000 * MB

    @pytest.mark.parametrize("controllers", ["memory", "cpu,memory"])
    def test_groups_of_the_first_version(self, system, controllers):
        system.belongs("9:name=systemd:/", f"4:{controllers}:/slurm/job_7", "1:cpu:/else", "0::/")
        stat = f"inactive_file 1\ntotal_inactive_file {100 * MB}"
        system.group("memory", limit_in_bytes=NO_LIMIT, usage_in_bytes=9000 * MB)
        system.group("memory/slurm/job_7", limit_in_bytes=2000 * MB, usage_in_bytes=600 * MB, stat=stat)
        assert system.free() == 1500 * MB

    def test_a_machine_that_says_nothing_is_taken_for_a_small_one(self, tmp_path):
        assert machine.free_memory(tmp_path, tmp_path) == 8 * 2**30
        (tmp_path / "meminfo").write_text("MemTotal: 16 kB\n")
        assert machine.free_memory(tmp_path, tmp_path) == 8 * 2**30

    def test_this_machine(self):
        assert 10**6 < machine.free_memory() < 10**14


class TestCores:
    def test_those_that_the_process_is_bound_to(self, monkeypatch):
        monkeypatch.delattr(os, "process_cpu_count", raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
        assert machine.cores() == 3
        assert Options().jobs == 3

    def test_python_itself_may_know(self, monkeypatch):
        monkeypatch.setattr(os, "process_cpu_count", lambda: 5, raising=False)
        assert machine.cores() == 5

    def test_where_no_process_is_bound(self, monkeypatch):
        monkeypatch.delattr(os, "process_cpu_count", raising=False)
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 4)
        assert machine.cores() == 4
