# SPDX-License-Identifier: Apache-2.0
"""The documents are true: figures come from results, and named files exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastpath import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.bench.common.results import KEPT
from fastpath.bench.docker import table as docker
from fastpath.bench.e2e import table as e2e
from fastpath.bench.e2e.results import Results, ratio
from fastpath.bench.e2e.scenarios import SCENARIOS
from fastpath.bench.forwarders import table as forwarders
from fastpath.bench.micro import table as micro
from fastpath.bench.replay import table as replay
from fastpath.bench.scale import table as scale
from tests.trace.walks import walks

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", ".github/**/*.md", "docs/**/*.md", "examples/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
WIDTH = 100


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def test_the_table_in_the_readme_is_the_measured_one() -> None:
    document = (ROOT / "docs" / "benchmarks" / "benchmarks.md").read_text()
    made = "run: python -m fastpath.bench.micro.table docs/benchmarks/benchmarks.md"
    assert micro.TABLE.refresh(document) == document, made


END_TO_END = (
    "README.md",
    "docs/benchmarks/benchmarks.md",
    "docs/benchmarks/performance.md",
    "docs/forwarding/forwarders-cython.md",
)


@pytest.mark.parametrize("name", END_TO_END)
def test_the_end_to_end_tables_are_the_measured_ones(name: str) -> None:
    document = (ROOT / name).read_text()
    assert e2e.RUN.search(document)
    assert e2e.refresh(document) == document, f"run: python -m fastpath.bench.e2e.table {name}"


def test_the_readme_has_the_short_table_and_the_long_one_is_beside_its_explanation() -> None:
    assert [short for _, _, short in e2e.RUN.findall((ROOT / "README.md").read_text())] == [" short"]
    assert [*e2e.RUN.findall((ROOT / "docs" / "benchmarks" / "benchmarks.md").read_text())] == [
        ("e2e.json", "e2e.json", ""),
        ("e2e-cubic.json", "e2e-cubic.json", ""),
    ]


def test_what_a_forwarder_in_python_costs_is_as_measured() -> None:
    kept = Results.read(KEPT / "e2e-forwarders.json")
    document = (ROOT / "docs" / "forwarding" / "forwarders-cython.md").read_text()
    for underlay in ("offload", "wire"):
        found = ratio(
            kept.measurements,
            SCENARIOS["udp64"].compared[0],
            scenario="udp64",
            underlay=underlay,
            subject="forwarder:learning_bridge.py",
            baseline="fastpath",
        )
        assert found is not None
        assert f"{found.median:.2f}× ({found.minimum:.2f}–{found.maximum:.2f})" in document


def test_the_tables_of_the_control_plane_are_the_measured_ones() -> None:
    document = (ROOT / "docs" / "benchmarks" / "scale.md").read_text()
    assert scale.TABLE.refresh(document) == document, (
        "run: python -m fastpath.bench.scale.table docs/benchmarks/scale.md"
    )


def test_the_comparison_with_docker_s_overlay_is_the_measured_one() -> None:
    document = (ROOT / "docs" / "benchmarks" / "comparison.md").read_text()
    made = "run: python -m fastpath.bench.docker.table docs/benchmarks/comparison.md"
    assert docker.TABLE.refresh(document) == document, made


def test_the_table_of_replays_is_the_measured_one() -> None:
    document = (ROOT / "docs" / "forwarding" / "replay.md").read_text()
    assert replay.TABLE.refresh(document) == document, (
        "run: python -m fastpath.bench.replay.table docs/forwarding/replay.md"
    )


def test_the_costs_of_the_examples_are_the_measured_ones() -> None:
    document = (ROOT / "examples" / "forwarders" / "README.md").read_text()
    assert forwarders.TABLE.refresh(document) == document, (
        "run: python -m fastpath.bench.forwarders.table examples/forwarders/README.md"
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_lines_can_be_read_in_a_diff(document: Path) -> None:
    """Rows of tables and links cannot be broken."""
    for number, line in enumerate(document.read_text().splitlines(), 1):
        breakable = not line.startswith("|") and " " in re.sub(r"\[[^]]*\]\([^)]*\)", "", line.strip(" *-"))
        assert len(line) <= WIDTH or not breakable, f"{document.name}:{number} has {len(line)} columns"


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_to_headings_find_them(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", document.read_text()):
        there = anchors(document.parent / target if target else document)
        assert anchor in there, f"{document.name} links to {target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_and_files_exist(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"
    for file in re.findall(r"`((?:src|fastpath|control|bench|tests|examples|docs)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), f"{document.name} names {file}"


def test_the_functions_of_the_map_exist() -> None:
    """That they are entered in this order, slower tests find out."""
    steps = [step for walk in walks((ROOT / "ARCHITECTURE.md").read_text()).values() for step in walk]
    assert len(steps) > 50
    for step in steps:
        path, name = step.split(": ")
        text = (ROOT / path).read_text()
        owner, _, function = name.rpartition(".")
        assert re.search(rf"\b{function}\(", text), f"ARCHITECTURE.md names {step}"
        assert not owner or re.search(rf"\bclass {owner}\b", text), f"ARCHITECTURE.md names {step}"


def test_the_index_has_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for document in (ROOT / "docs").rglob("*.md"):
        assert document.name == "README.md" or f"]({document.relative_to(ROOT / 'docs')})" in index, (
            f"docs/README.md lacks {document.name}"
        )


def test_the_reference_of_the_package_is_made_from_it() -> None:
    made = subprocess.run(
        [sys.executable, "docs/python_reference.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    document = (ROOT / "docs" / "forwarding" / "python.md").read_text()
    assert made.stdout == document, "run: python docs/python_reference.py > docs/forwarding/python.md"


def test_the_picture_is_what_its_script_draws() -> None:
    folder = ROOT / "docs" / "pictures"
    drawn = subprocess.run([sys.executable, folder / "overview.py"], capture_output=True, text=True, check=True)
    made = "run: python docs/pictures/overview.py > docs/pictures/overview.svg"
    assert drawn.stdout == (folder / "overview.svg").read_text(), made


def test_every_counter_is_documented() -> None:
    text = (ROOT / "docs" / "operators" / "counters.md").read_text()
    for name, sentence in {**DROP_SENTENCES, **EVENT_SENTENCES}.items():
        assert f"| `{name}` | {sentence} |" in text, name
