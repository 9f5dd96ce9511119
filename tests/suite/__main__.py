# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.suite`, as `./run test` calls it."""

import argparse
import signal
import sys
from pathlib import Path

from tests.suite import lanes, phases


def _ended(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./run test", description=__doc__)
    parser.add_argument("what", choices=phases.SETS, help="which phases")
    parser.add_argument("--durations", action="store_true", help="list the slowest tests at the end")
    parser.add_argument("--repeat", action="store_true", help="run what failed once more, alone; what passes is flaky")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, _ended)
    try:
        passed, said = lanes.run(
            phases.SETS[words.what](), Path("build/test"), repeat=words.repeat, durations=words.durations
        )
    except KeyboardInterrupt:
        return 130
    print("== summary", *said, sep="\n", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
