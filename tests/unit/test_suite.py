# SPDX-License-Identifier: Apache-2.0
"""The runner of `./run test`: what fails twice fails, what fails once is flaky, what crashes is never forgotten."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import GROUPS, group
from tests.suite import lanes
from tests.suite.phase import Phase
from tests.suite.record import Record

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROJECT = """
import os, pathlib, pytest

def test_passes():
    pass

@pytest.mark.parametrize("name", ["one", "two words", "a@b"])
def test_fails_once(name):
    marker = pathlib.Path(__file__).with_name(name)
    if not marker.exists():
        marker.touch()
        raise AssertionError("the first time")

def test_fails_always():
    raise AssertionError("always")

def test_is_skipped():
    pytest.skip("no such thing here")

@pytest.fixture
def cleaned():
    yield
    raise RuntimeError("in the teardown")

def test_fails_in_its_teardown(cleaned):
    pass

def test_crashes():
    os._exit(3)
"""

CPU_S = 0.5
COMPUTING = f"""
import subprocess, sys, time

def test_sleeps():
    time.sleep({CPU_S})

def test_computes():
    child = "import time\\nwhile time.process_time() < {CPU_S}: pass"
    subprocess.run([sys.executable, "-c", child], check=True)
"""

SHARED_OUT = """
from tests import conftest
from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler

conftest.GROUPS["test_group.py"] = "group"
"""
GROUP = "".join(f"def test_{number}():\n    pass\n" for number in range(3))
SLOW = "import pytest\n\n@pytest.mark.slow\ndef test_slow():\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with tests that end in every way."""
    (tmp_path / "test_it.py").write_text(PROJECT)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def phase(project: Path, *tests: str, name: str = "some", workers: int = 1) -> Phase:
    environment = {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # none is needed but this, and each takes its time
        "PYTEST_PLUGINS": "xdist.plugin",
    }
    return Phase(name, tests=tests, folder=project, environment=environment, workers=workers)


def run(project: Path, *phases: Phase, repeat: bool = True) -> tuple[bool, list[str]]:
    return lanes.run([phases], project / "logs", repeat=repeat)


def last(said: list[str]) -> str:
    """The sum, without its time."""
    return said[-1].partition(" in ")[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_once_is_flaky_and_does_not_fail_the_run(project: Path, workers: int) -> None:
    passed, said = run(project, phase(project, "-k", "once or passes or skipped", workers=workers))
    assert passed
    assert "skipped, 1: no such thing here" in said
    flaky = [line for line in said if line.startswith("flaky: some test_it.py::test_fails_once[")]
    assert sorted(line.partition(" (")[0].partition("[")[2] for line in flaky) == ["a@b]", "one]", "two words]"]
    assert last(said) == "4 passed, 0 failed, 1 skipped"


def test_what_fails_once_fails_the_run_where_nothing_is_repeated(project: Path) -> None:
    passed, said = run(project, phase(project, "-k", "once or passes"), repeat=False)
    assert not passed
    assert "failed: some test_it.py::test_fails_once[one]" in said
    assert last(said) == "1 passed, 3 failed, 0 skipped"


def test_what_fails_twice_fails_the_run(project: Path) -> None:
    passed, said = run(project, phase(project, "-k", "once or always or teardown"), phase(project, "-k", "passes"))
    assert not passed
    assert "failed: some test_it.py::test_fails_always" in said
    assert "failed: some test_it.py::test_fails_in_its_teardown" in said
    assert "phases that failed: some" in said
    assert last(said) == "4 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_fails_the_run(project: Path, workers: int) -> None:
    passed, said = run(
        project, phase(project, "-k", "crashes", workers=workers), phase(project, "-k", "passes", name="other")
    )
    assert not passed
    assert "phases that failed: some" in said
    assert last(said).startswith("1 passed, ")


@pytest.mark.parametrize("tests", [("no_such_file.py",), ("-k", "no_such_test"), ("broken.py",)])
def test_tests_that_do_not_run_fail_the_run(project: Path, tests: tuple[str, ...]) -> None:
    (project / "broken.py").write_text("import no_such_module\n")
    passed, said = run(project, phase(project, *tests))
    assert not passed
    assert "phases that failed: some" in said


def test_a_command_passes_or_fails_by_its_exit_status(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    passed, said = lanes.run(
        [
            [Phase("good", command=("sh", "-c", "echo well; echo done >&2"))],
            [Phase("bad", command=("sh", "-c", "echo badly; exit 7")), Phase("unready", ("true",), prepare=("false",))],
        ],
        project / "logs",
        repeat=True,
    )
    assert not passed
    assert [" ".join(line.split()) for line in said[:3]] == [
        "good 0 s 0 s of CPU passed",
        "bad 0 s 0 s of CPU FAILED with exit status 7",
        "unready 0 s 0 s of CPU FAILED with exit status 1",
    ]
    assert said[3] == "phases that failed: bad, unready"
    out = capfd.readouterr().out
    assert "well\ndone\n" in out
    assert "badly\n" in out


@pytest.mark.parametrize("workers", [1, 2])
def test_the_slowest_tests_are_listed_and_those_that_compute_most(project: Path, workers: int) -> None:
    (project / "test_cpu.py").write_text(COMPUTING)
    computing = phase(project, "-k", "passes or sleeps or computes", workers=workers)
    _, said = lanes.run([[computing]], project / "logs", durations=True)
    slowest = [line.split() for line in said[:6]]
    assert {words[-1].partition("::")[2] for words in slowest[:3]} == {"test_passes", "test_sleeps", "test_computes"}
    computed = {words[-1].partition("::")[2]: float(words[0]) for words in slowest[3:]}
    assert computed["test_computes"] >= CPU_S
    assert computed["test_sleeps"] < CPU_S
    used = said[-1].rpartition("with ")[2].split()
    assert float(used[0]) >= round(CPU_S)


def test_an_unknown_set_of_phases_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.suite", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_files_that_share_something_are_there() -> None:
    assert [file for file in GROUPS if not (ROOT / file).exists()] == []


def test_fixtures_of_a_module_are_made_in_one_process() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    sharing = [file for file in files if re.search(r"(?s)fixture\([^)]*\bscope=.module", (ROOT / file).read_text())]
    assert len(sharing) > 5
    assert [file for file in sharing if group(file) is None] == []
    assert group("tests/unit/kernels/test_ring.py") is None


def test_what_takes_long_begins_before_larger_groups(tmp_path: Path) -> None:
    files = {"conftest.py": SHARED_OUT, "test_group.py": GROUP, "test_it.py": SLOW}
    files["pytest.ini"] = "[pytest]\nmarkers = slow\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    passed, _ = run(tmp_path, phase(tmp_path, "-n", "1", "--dist", "loadscope"))
    assert passed
    record = Record.read(tmp_path / "logs" / "some.json")
    assert record is not None
    assert record.passed == ["test_it.py::test_slow", *(f"test_group.py::test_{number}" for number in range(3))]
