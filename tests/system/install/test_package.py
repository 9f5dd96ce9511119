# SPDX-License-Identifier: Apache-2.0
"""The source distribution, the wheel that is built from it, and what `pip install` makes of that."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SDIST = "from setuptools.build_meta import build_sdist; import sys; print(build_sdist(sys.argv[1]))"
OFFLINE = ("--disable-pip-version-check", "--no-deps", "--no-index", "-q")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a copy, since building writes beside the sources."""
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    copy.mkdir()
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    names = [name for name in files.split("\0") if name and (ROOT / name).exists()]
    with tarfile.open(folder / "copy.tar", "w") as tar:
        for name in names:
            tar.add(ROOT / name, name, recursive=False)
    with tarfile.open(folder / "copy.tar") as tar:
        tar.extractall(copy, filter="fully_trusted")  # noqa: S202 – we wrote it
    run(sys.executable, "-c", SDIST, str(folder), cwd=copy)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ("-m", "pip", "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), str(sdist))
    # As `./run` compiled it, in next to no time; without its ccache unoptimised, in half the time.
    compiled = {} if "ccache" in os.environ.get("CC", "") else {"FASTPATH_DEBUG": "1"}
    run(sys.executable, *words, cwd=folder, **compiled)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it depends on is this environment's."""
    place = tmp_path_factory.mktemp("opt") / "fastpath"
    run(sys.executable, "-m", "venv", "--without-pip", str(place), cwd=place.parent)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", str(python), "install", *OFFLINE, str(wheel), cwd=place.parent)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def test_every_package_of_the_tree_is_in_the_wheel(wheel: Path) -> None:
    tree = {".".join(init.parent.relative_to(ROOT).parts) for init in (ROOT / "fastpath").rglob("__init__.py")}
    for name in ("control", "bench"):
        for init in (ROOT / name).rglob("__init__.py"):
            tree.add(".".join(("fastpath", *init.parent.relative_to(ROOT).parts)))
    with zipfile.ZipFile(wheel) as file:
        names = [Path(name) for name in file.namelist()]
    assert {".".join(name.parent.parts) for name in names if name.name == "__init__.py"} == tree


def test_the_headers_are_in_the_wheel_and_the_kernels_are_not(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if name.startswith("fastpath/include/")}
    src = ROOT / "src"
    headers = {path.relative_to(src) for path in src.rglob("*") if path.suffix in (".h", ".def")}
    assert names == {f"fastpath/include/{path}" for path in headers}


def test_it_runs_from_where_it_is_installed(installed: Path) -> None:
    command = installed / "bin" / "fastpath"
    assert run(command, "--version", cwd=installed).startswith("fastpath ")
    assert "--docker-plugin-dir" in run(command, "daemon", "--help", cwd=installed)
    code = "import fastpath; print(fastpath.__file__); fastpath.Engine(local='127.0.0.1').close()"
    assert str(installed) in run(installed / "bin" / "python", "-W", "error", "-c", code, cwd=installed)


@pytest.mark.parametrize("name", ["fastpath.service", "fastpath.toml"])
def test_what_an_administrator_copies_is_there(installed: Path, name: str) -> None:
    assert (installed / "share" / "fastpath" / name).read_text() == (ROOT / "examples" / name).read_text()


def test_forwarders_in_cython_are_compiled_against_it(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    leftovers = shutil.ignore_patterns("build", "*.egg-info")
    shutil.copytree(ROOT / "examples" / "cython-forwarder", project, ignore=leftovers)
    python = installed / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run(*pip, "install", *OFFLINE, "--no-build-isolation", str(project), cwd=tmp_path)
    code = "import example_forwarder.bridge as it, fastpath; print(it.Bridge().counters, fastpath.get_include())"
    said = run(python, "-W", "error", "-c", code, cwd=tmp_path)
    assert said.startswith("{'flooded': 0}")
    assert str(installed) in said
