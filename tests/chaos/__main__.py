# SPDX-License-Identifier: Apache-2.0
"""`./run chaos`: the bed for as long as you like."""

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.bed import Bed
from tests.chaos.checks import traces
from tests.chaos.faults import FAULTS
from tests.chaos.nemesis import History, Nemesis, ViolationError, clear

EXAMPLES = """examples:
  ./run chaos --minutes 20
  ./run chaos --minutes 60 --hosts 5 --log chaos.jsonl
  ./run chaos --seed 4711 --only store-full --only daemon-killed
"""


def main() -> int:
    """Return the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__, epilog=EXAMPLES, formatter_class=form)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, 10 unless named otherwise")
    parser.add_argument("--seed", type=int, default=None, help="choose the same faults again")
    parser.add_argument("--hosts", type=int, default=3, choices=range(2, 10), help="how many, 3 unless named otherwise")
    parser.add_argument("--only", action="append", default=[], choices=sorted(FAULTS), help="a fault; may be repeated")
    parser.add_argument("--log", type=Path, help="where to write what happened, as lines of JSON")
    parser.add_argument("--list", action="store_true", help="list the faults")
    given = parser.parse_args()
    if given.list:
        for name, each in sorted(FAULTS.items()):
            print(f"{name:26} {(each.happen.__doc__ or '').strip()}")
        return 0
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    history = History(given.log)
    history.note("begin", f"seed {seed}, {given.hosts} hosts, {given.minutes:g} minutes", seed=seed, hosts=given.hosts)
    folder = Path(tempfile.mkdtemp(prefix="fastpath-chaos-"))
    with Bed(given.hosts, folder) as bed:
        try:
            bed.prepare()
            before = [traces(daemon) for daemon in bed.daemons]
            bed.populate()
            Nemesis(bed, seed, history, given.only).run(given.minutes)
            clear(bed, before, history)
        except ViolationError as error:
            history.note("violation", f"VIOLATION, seed {seed} (logs in {folder}):\n{error}", seed=seed)
            return 1
    shutil.rmtree(folder)
    history.note("ok", "no violation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
