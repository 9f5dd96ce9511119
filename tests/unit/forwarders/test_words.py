# SPDX-License-Identifier: Apache-2.0
"""`fastpath forwarder set`: from words to a forwarder in an engine, and what is said where that cannot be."""

from pathlib import Path

import pytest

from fastpath import Chain, Hub, LearningBridge
from fastpath.control.cli.syntax.forwarder import parse
from fastpath.control.model.requests import ForwarderElement, ForwarderSet
from fastpath.control.runtime.forwarders import load, load_all, set_forwarder
from fastpath.errors import FastpathError, UsageError
from tests.support.engine.lab import Lab

HERE = Path("/here")
SOURCE = """
from ipaddress import IPv4Address
from pathlib import Path
from fastpath import Forwarder, FLOOD

class Acl(Forwarder):
    def __init__(self, rules: Path, *, deny: bool = False, rate: float = 1.5, ips: list[IPv4Address] = ()) -> None:
        if rate < 0:
            raise ValueError("a rate is positive")
        self.given = (rules, deny, rate, list(ips))

    def forward(self, burst):
        burst.out = FLOOD
"""

pytestmark = pytest.mark.compiler


@pytest.fixture
def acl(tmp_path: Path) -> Path:
    path = tmp_path / "acl.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["acl.py", "rules=a.toml", "deny=yes", "|", "bridge"],
        ["acl.py rules=a.toml deny=yes | bridge"],
        ["acl.py rules=a.toml deny=yes|bridge"],
    ],
)
def test_words(words: list[str]) -> None:
    assert parse(words, HERE) == [
        ForwarderElement(spec="acl.py", parameters={"rules": "a.toml", "deny": "yes"}, directory="/here"),
        ForwarderElement(spec="bridge", directory="/here"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["|", "bridge"], "a forwarder is missing"),
        (["bridge", "|"], "a forwarder is missing"),
        ([""], "a forwarder is missing"),
        (["acl.py", "rules"], '"rules" is not a parameter'),
        (["acl.py", "4x=1"], '"4x=1" is not a parameter'),
        (["acl.py", "a=1", "a=2"], "the parameter a is given twice"),
    ],
)
def test_words_that_cannot_be(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(words, HERE)


def test_parameters_become_what_the_annotations_say(acl: Path) -> None:
    loaded = load("acl.py", {"rules": "a.toml", "deny": "true", "rate": "2", "ips": "192.0.2.1, 192.0.2.2"}, acl.parent)
    rules, deny, rate, ips = loaded.given  # type: ignore[attr-defined]
    assert (rules, deny, rate) == (acl.parent / "a.toml", True, 2.0)
    assert [str(ip) for ip in ips] == ["192.0.2.1", "192.0.2.2"]


def test_built_in_and_from_a_package() -> None:
    assert isinstance(load("bridge"), LearningBridge)
    assert isinstance(load("fastpath.forwarder.forwarder:Hub"), Hub)
    chain = load_all([ForwarderElement(spec=name, directory="/") for name in ("hub", "bridge")])
    assert isinstance(chain, Chain)


@pytest.mark.parametrize(
    ("spec", "parameters", "message"),
    [
        ("acl.py", {}, "acl.py needs the parameter rules"),
        ("acl.py", {"rules": "x", "other": "1"}, "acl.py has no parameter other: it has rules, deny, rate, ips"),
        ("acl.py", {"rules": "x", "rate": "fast"}, "acl.py: rate=fast: Input should be a valid number"),
        ("acl.py", {"rules": "x", "rate": "-1"}, "acl.py: ValueError: a rate is positive"),
        ("acl.py:Nat", {}, "acl.py:Nat has nothing of that name"),
        ("acl.py:Path", {}, "acl.py:Path is not derived from fastpath.Forwarder"),
        ("absent.py", {}, "absent.py: No such file or directory"),
        ("./rules.toml", {}, "is not a Python file"),
        ("brdige", {}, '"brdige" is not a forwarder'),
        ("fastpath.nothing:X", {}, "cannot import fastpath.nothing: ModuleNotFoundError"),
        ("bridge", {"a": "1"}, "bridge takes no parameters"),
        ("syntax.py", {}, "syntax.py, line 2: "),
        ("raises.py", {}, "raises.py, line 1: ZeroDivisionError"),
        ("leaves.py", {}, "leaves.py, line 2: SystemExit: 3"),
        ("two.py", {}, r"two.py has to define one forwarder, or say which: two.py:NAME \(it has A, B\)"),
        ("none.py", {}, r"\(it has none\)"),
    ],
)
def test_what_is_said_of_what_cannot_be(acl: Path, spec: str, parameters: dict[str, str], message: str) -> None:
    for name, text in {
        "syntax.py": "\ndef x(:\n",
        "raises.py": "1 / 0",
        "leaves.py": "import sys\nsys.exit(3)",
        "two.py": "from fastpath import Forwarder\nclass A(Forwarder): ...\nclass B(Forwarder): ...\n",
        "none.py": "from fastpath import Forwarder, Hub",
        "rules.toml": "",
    }.items():
        (acl.parent / name).write_text(text)
    with pytest.raises(FastpathError, match=message) as caught:
        load(spec, parameters, acl.parent)
    assert "\n" not in str(caught.value)


def test_a_file_is_read_anew(acl: Path) -> None:
    assert load("acl.py", {"rules": "x"}, acl.parent).name == "Acl"
    acl.write_text(SOURCE.replace("Acl", "Other"))
    assert load("acl.py", {"rules": "x"}, acl.parent).name == "Other"


def test_it_is_set_and_reset(lab: Lab, acl: Path) -> None:
    segment = lab.engine.add_segment(1)
    words = ["acl.py", "rules=x", "|", "bridge"]
    assert set_forwarder(segment, ForwarderSet(elements=tuple(parse(words, acl.parent)))).name == "Acl | LearningBridge"
    with pytest.raises(FastpathError):
        set_forwarder(segment, ForwarderSet(elements=tuple(parse(["absent.py"], acl.parent))))
    assert segment.forwarder.name == "Acl | LearningBridge"
    assert set_forwarder(segment, None).name == "LearningBridge"
