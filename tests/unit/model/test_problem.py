# SPDX-License-Identifier: Apache-2.0
"""Two problems are the same by their code, not by their texts."""

import asyncio
import errno
import logging

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from fastpath.control.api.routes import explain
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.model.problem import Problem, code_of, problem_of
from fastpath.errors import ConflictError, FastpathError, RefusedError


def refuse(number: int, seconds: int) -> None:
    try:
        raise OSError(number, "it says")
    except OSError as error:
        raise RefusedError(f"waited {seconds} s") from error


def caught(number: int = errno.EBUSY, seconds: int = 1) -> FastpathError:
    with pytest.raises(RefusedError) as found:
        refuse(number, seconds)
    return found.value


def test_the_same_failure_has_one_code_whatever_its_words() -> None:
    one, two = problem_of("web", "e1", caught(seconds=1)), problem_of("web", "e1", caught(seconds=2))
    assert (one.text, two.text) == ("waited 1 s", "waited 2 s")
    assert one.is_same(two)


def test_another_cause_place_or_subject_is_another_problem() -> None:
    problem = problem_of("web", "e1", caught())
    assert not problem.is_same(problem_of("web", "e1", caught(errno.EPERM)))
    assert not problem.is_same(problem_of("web", "e2", caught()))
    assert not problem.is_same(problem_of("db", "e1", caught()))
    assert not problem.is_same(problem_of("web", "e1", ConflictError("waited 1 s")))
    assert not problem.is_same(None)


def test_an_error_may_have_a_code_of_its_own() -> None:
    error = ConflictError("text")
    error.code = "parent-missing u0"  # type: ignore[attr-defined]
    assert code_of(error) == "parent-missing u0"
    assert problem_of("web", "e1", error, "longer") == Problem("web", "e1", "parent-missing u0", "longer")


def test_a_command_prints_one_line_whatever_the_cause() -> None:
    @click.command()
    @one_line_errors
    def command() -> None:
        refuse(errno.EBUSY, 3)

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "fastpath: waited 3 s\n")


def test_the_api_answers_one_line_and_logs_the_cause(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_: web.Request) -> web.Response:
        refuse(errno.EBUSY, 3)
        raise AssertionError

    async def play() -> None:
        app = web.Application(middlewares=[explain])
        app.router.add_get("/", fails)
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/")
            assert (answer.status, await answer.json()) == (400, {"error": "waited 3 s"})

    with caplog.at_level(logging.DEBUG, "fastpath"):
        asyncio.run(play())
    causes = [record for record in caplog.records if record.exc_info and record.name.startswith("fastpath")]
    assert [(record.levelno, record.message) for record in causes] == [(logging.DEBUG, "GET / is refused")]
    assert causes[0].exc_info is not None
    assert isinstance(causes[0].exc_info[1], RefusedError)
    assert isinstance(causes[0].exc_info[1].__cause__, OSError)
