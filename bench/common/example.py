# SPDX-License-Identifier: Apache-2.0
"""The example forwarder in Cython, compiled as its README says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastpath

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "cython-forwarder"


def build(folder: Path) -> Path:
    """Compile it against this fastpath, below `folder`. Return the directory that has to be on sys.path."""
    copy, target = folder / "project", folder / "site"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    options = "--no-build-isolation --no-deps --no-index --disable-pip-version-check -q --target"
    command = [sys.executable, "-m", "pip", "install", *options.split(), str(target), str(copy)]
    environment = {**os.environ, "PYTHONPATH": str(Path(fastpath.__file__).parents[1])}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return target
