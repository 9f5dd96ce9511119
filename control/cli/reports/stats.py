# SPDX-License-Identifier: Apache-2.0
"""Print statistics as tables."""

import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from fastpath import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.text import printable

_NUMBERS = ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "drops")


def _console() -> Console:
    """Return standard output, as wide as the terminal, if it is one. Text is shown as it is."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(width=None if terminal else 140, markup=False, emoji=False, highlight=False)


def _table(title: str, *columns: str, numbers: tuple[str, ...] = _NUMBERS) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column.replace("_", " "), justify="right", no_wrap=True)
    return table


def _traffic(traffic: dict[str, int]) -> list[str]:
    return [f"{traffic[name]:,}" for name in _NUMBERS]


def _port_name(port: dict[str, Any]) -> str:
    name: str = port["name"]
    return f"{port['label']} ({name})" if port["label"] is not None else name


def _sum(tallies: list[dict[str, Any]], what: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for tally in tallies:
        for name, count in tally[what].items():
            total[name] = total.get(name, 0) + count
    return total


def print_stats(device: str, stats: dict[str, Any]) -> None:
    """Print the counters of a device or of the daemon, with a sentence for each reason."""
    out = _console()
    traffic = _table(f"{device}: traffic, seen from the engine", "what", "where")
    for port in stats["ports"]:
        traffic.add_row(
            "port", printable(_port_name(port)) + (" (gone)" if port["gone"] else ""), *_traffic(port["traffic"])
        )
    for remote in stats["remotes"]:
        traffic.add_row("remote", f"{remote['address']} port {remote['udp_port']}", *_traffic(remote["traffic"]))
    for segment in stats["segments"]:
        traffic.add_row("segment", f"VNI {segment['vni']}", *_traffic(segment["tally"]["traffic"]))
    for index, worker in enumerate(stats["workers"]):
        traffic.add_row("worker", str(index), *_traffic(worker["traffic"]))
    if any(stats["deferred"]["traffic"].values()):
        traffic.add_row("deferred", "forwarders in Python", *_traffic(stats["deferred"]["traffic"]))
    if any(stats["kernel_path"]["traffic"].values()):
        traffic.add_row("kernel path", "within the above", *_traffic(stats["kernel_path"]["traffic"]))
    out.print(traffic)

    tallies = [*stats["workers"], stats["deferred"]]
    drops = _sum(tallies, "drops")
    if stats["socket_overflows"]:
        drops["socket_overflow"] = stats["socket_overflows"]
    sentences = DROP_SENTENCES | {"socket_overflow": "packets arrived faster than the workers read them"}
    _print_counts(out, f"{device}: discarded", drops, sentences, "nothing was discarded")
    _print_counts(out, f"{device}: noted", _sum(tallies, "events"), EVENT_SENTENCES, "nothing to note")
    if verdicts := stats["kernel_path"]["verdicts"]:
        _print_counts(out, f"{device}: decided by the kernel path", verdicts, _verdict_sentences(), "")
    for segment in stats["segments"]:
        _print_forwarder(out, segment["vni"], segment["forwarder"])
    out.print(f"FDB: {stats['fdb_entries']:,} of at most {stats['fdb_limit']:,} entries")


def _verdict_sentences() -> dict[str, str]:
    from fastpath.kernelpath.programs import VERDICT_SENTENCES  # noqa: PLC0415  # which not every installation has

    return VERDICT_SENTENCES


def _print_forwarder(out: Console, vni: int, forwarder: dict[str, Any]) -> None:
    """Print the counters of a forwarder, unless it is the default one, which has none of its own."""
    if forwarder["name"] == "LearningBridge" and not forwarder["deferred"]:
        return
    out.print(f"forwarder of VNI {vni}: {forwarder['name']}", markup=False, highlight=False)
    if forwarder["failures"]:
        failures = f"failed {forwarder['failures']:,} times, last: {forwarder['last_error']}"
        out.print(f"  {failures}", markup=False, highlight=False)
    for name, count in forwarder["counters"].items():
        out.print(f"  {name}: {count:,}", markup=False, highlight=False)


def print_counts(title: str, counts: dict[str, int], sentences: dict[str, str]) -> None:
    """Print how often each thing happened, with a sentence for each."""
    _print_counts(_console(), title, counts, sentences, "nothing")


def _print_counts(out: Console, title: str, counts: dict[str, int], sentences: dict[str, str], otherwise: str) -> None:
    if not counts:
        out.print(f"{title}: {otherwise}\n")
        return
    table = _table(title, "name", "what happened", numbers=("count",))
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(name, sentences[name], f"{count:,}")
    out.print(table)
