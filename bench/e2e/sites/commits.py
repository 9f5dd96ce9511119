# SPDX-License-Identifier: Apache-2.0
"""Other commits of ours, built in worktrees under build/commits and kept there."""

import subprocess
import sys
from pathlib import Path

from fastpath.bench.common.machine import ROOT
from fastpath.errors import RefusedError, UsageError


def resolve(revision: str) -> str:
    """Return the full name of a commit. Raise UsageError where there is none."""
    found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise UsageError(f"commit={revision}: there is no such commit in {ROOT}")
    return found.stdout.strip()


def commit_tree(revision: str) -> Path:
    """Return the built tree of a commit, for PYTHONPATH. Raise FastpathError where it cannot be built."""
    name = resolve(revision)
    tree = ROOT / "build" / "commits" / name[:12]
    if (tree / "build" / "built").exists():
        return tree
    if not tree.exists():
        _git("worktree", "prune")
        added = _git("worktree", "add", "--detach", str(tree), name)
        if added.returncode != 0:
            raise RefusedError(f"commit={revision}: {added.stderr.strip()}")
    command = [sys.executable, "setup.py", "-q", "build_clib", "build_ext", "--inplace"]
    built = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RefusedError(f"commit={revision} does not build: {built.stderr.strip().splitlines()[-1]}")
    (tree / "build" / "built").touch()
    return tree


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
