# SPDX-License-Identifier: Apache-2.0
"""nftables, by the program nft: a table is replaced as a whole in one transaction."""

import contextlib
import json
import subprocess
from typing import Any

from fastpath.errors import RefusedError

PATIENCE_S = 10  # the caller is the one thread that changes the kernel


def replace(table: str, body: str) -> None:
    """Make a table, such as "inet NAME", consist of `body`, in one transaction. Raise RefusedError."""
    run(replacement(table, body), table)


def replacement(table: str, body: str) -> str:
    """Return the commands for that."""
    return f"{_deleted(table)}table {table} {{\n{body}\n}}\n"


def delete(table: str) -> None:
    """Delete a table. No error if there is none. Raise RefusedError."""
    run(_deleted(table), table)


def _deleted(table: str) -> str:
    return f"add table {table}\ndelete table {table}\n"  # deleting what does not exist would fail


def listing(table: str) -> list[dict[str, Any]]:
    """Return what a table consists of, in the words of libnftables-json(5): without handles, counts, and elements that
    packets add to sets. An empty list: there is no such table. Raise RefusedError."""
    return [lasting(each) for each in objects(table)]


def objects(table: str) -> list[dict[str, Any]]:
    """Return what a table consists of, in the words of libnftables-json(5). An empty list: there is no such table.
    Raise RefusedError."""
    done = _nft(["-j", "list", "table", *table.split()], "", table)
    if "No such file or directory" in done.stderr:
        return []
    _check(done, table)
    found: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return [each for each in found if "metainfo" not in each]


def all_chains() -> list[dict[str, Any]]:
    """Return every chain of every table, in the words of libnftables-json(5). Raise RefusedError."""
    done = _nft(["-j", "list", "chains"], "", "all tables")
    _check(done, "all tables")
    return [each["chain"] for each in json.loads(done.stdout)["nftables"] if "chain" in each]


def mentions(table: str, text: str) -> bool:
    """Return whether a table has this text anywhere in its rules."""
    return text in _nft(["list", "table", *table.split()], "", table).stdout


_PASSING = {"handle", "packets", "bytes", "expires", "used"}


def lasting(value: Any) -> Any:
    """Return an object without what passes: handles, counts, and elements that packets add to sets. Those have a state
    (`ct count`, a time); nft does not tell which sets are dynamic."""
    if isinstance(value, list):
        return [lasting(each) for each in value if not (isinstance(each, dict) and each.keys() == {"elem"})]
    if not isinstance(value, dict):
        return value
    return {key: lasting(each) for key, each in value.items() if key not in _PASSING and not _is_empty(key, each)}


def _is_empty(key: str, value: Any) -> bool:
    return key == "elem" and isinstance(value, list) and not lasting(value)


def run(commands: str, what: str) -> None:
    """Run nft's commands in one transaction. Raise RefusedError, which names `what`."""
    _check(_nft(["-f", "-"], commands, what), what)


class Standby:
    """A process of nft that is started before there are commands for it: nine tenths of the time that commands take are
    nft's start. For one thread at a time. If this process is killed, nft reads the end of its input, and ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Start the process, unless it waits already."""
        if self._process is None:
            pipe = subprocess.PIPE
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    ["nft", "-f", "-"],
                    stdin=pipe,
                    stdout=subprocess.DEVNULL,
                    stderr=pipe,
                    encoding="utf-8",
                    errors="surrogateescape",
                )

    def run(self, commands: str, what: str) -> None:
        """Run commands in one transaction, as the function `run` does. The process is used up then."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            if process is not None:
                process.communicate()  # closes the pipes
            run(commands, what)
            return
        try:
            _, errors = process.communicate(commands, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise _overdue(what) from error
        _check(subprocess.CompletedProcess([], process.returncode, "", errors), what)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _nft(words: list[str], commands: str, what: str) -> subprocess.CompletedProcess[str]:
    command = ["nft", *words]
    try:
        return subprocess.run(
            command,
            input=commands,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # names of interfaces are in rules
            check=False,
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired as error:
        raise _overdue(what) from error
    except OSError as error:
        why = "is missing: install nftables" if isinstance(error, FileNotFoundError) else f"fails: {error.strerror}"
        raise RefusedError(f"the program nft {why}") from error


def _overdue(what: str) -> RefusedError:
    return RefusedError(f"nft did not take the rules of {what} within {PATIENCE_S} s")


def _check(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode != 0:
        first = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
        reason = first.rpartition("Error: ")[2]
        if "Operation not permitted" in reason:
            reason = "no permission (CAP_NET_ADMIN)"
        raise RefusedError(f"nft refused the rules of {what}: {reason}")
