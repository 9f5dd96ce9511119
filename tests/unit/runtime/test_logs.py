# SPDX-License-Identifier: Apache-2.0
"""The lines of the log in each format."""

import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.runtime import logs

LOGGER = logging.getLogger("fastpath.control.test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    root, ours = logging.getLogger(), logging.getLogger("fastpath")
    before = (root.handlers[:], root.level, ours.level)
    yield
    logging.captureWarnings(False)
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_text_has_the_time_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logs("text", "info")
    LOGGER.info("ready after %d s", 3)
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO fastpath\.control\.test: ready after 3 s\n"
    assert re.fullmatch(line, capsys.readouterr().err)


def test_the_journal_gets_priorities_and_no_time() -> None:
    formatter = logs.JournalFormatter()
    record = LOGGER.makeRecord(LOGGER.name, logging.ERROR, "", 0, "failed", (), (ValueError, ValueError("why"), None))
    assert formatter.format(record) == "<3>fastpath.control.test: failed\n<3>  ValueError: why"
    for level, priority in ((logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.CRITICAL, 2)):
        record.levelno = level
        assert formatter.format(record).startswith(f"<{priority}>")


@pytest.mark.parametrize("form", ["text", "json"])
def test_names_of_others_are_no_lines_and_no_commands(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "x\n<0>fastpath: all is well\x1b[2J\u202e\udcff"
    logs.set_up_logs(form, "info")
    try:
        raise ValueError(evil)
    except ValueError:
        LOGGER.warning("network %s fails", evil, exc_info=form == "text")
    said = capsys.readouterr().err
    assert not any(line.startswith("<0>") for line in said.splitlines())
    assert all(line.isprintable() for line in said.split("\n"))
    if form == "json":
        assert json.loads(said)["message"].startswith("network x\n<0>fastpath")


def test_the_journal_is_known_by_its_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "err").open("w") as file:
        monkeypatch.setattr("sys.stderr", file)
        found = os.fstat(file.fileno())
        assert logs.goes_to_journal({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not logs.goes_to_journal({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not logs.goes_to_journal({})
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.set_up_logs("text", "info")
        LOGGER.warning("no lease")
        file.flush()
        assert (tmp_path / "err").read_text() == "<4>fastpath.control.test: no lease\n"


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logs("json", "debug")
    LOGGER.debug("peer %s is gone", "ü2", extra={"host": "h2"})
    try:
        raise ValueError("why")
    except ValueError:
        LOGGER.exception("failed")
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "DEBUG", "logger": "fastpath.control.test", "message": "peer ü2 is gone", "host": "h2"}
    assert second["level"] == "ERROR"
    assert second["exc_info"].endswith("ValueError: why")


def test_libraries_are_heard_from_warnings_up(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logs("text", "info")
    LOGGER.debug("no")
    logging.getLogger("aiohttp").info("no")
    logging.getLogger("aiohttp").warning("yes")
    logs.set_up_logs("text", "error")  # again: nothing is said twice
    logging.getLogger("aiohttp").warning("no")
    LOGGER.warning("no")
    LOGGER.error("yes, too")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["yes", "yes, too"]


def test_warnings_of_python_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logs("text", "info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "WARNING py.warnings: " in capsys.readouterr().err
