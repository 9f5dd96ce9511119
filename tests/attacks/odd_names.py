# SPDX-License-Identifier: Apache-2.0
"""Give an interface of the present namespace a name and an alias that are not UTF-8, and that a terminal would obey:
`ip netns exec c1 python -m tests.attacks.odd_names eth0`."""

import argparse
import os
import subprocess

NAME = b"\xff\x1b[2J\xfe"
ALIAS = b"\xc3(\x1b]0;owned\x07\xff"


def spoil(name: str, *, rename: bool = True, before: tuple[str, ...] = ("ip",)) -> None:
    """Change the interface `name`. `before` are the words of `ip`, perhaps with a namespace."""
    subprocess.run([*map(os.fsencode, before), b"link", b"set", b"dev", name.encode(), b"alias", ALIAS], check=True)
    if rename:
        for words in ((b"down",), (b"name", NAME)):
            subprocess.run([*map(os.fsencode, before), b"link", b"set", b"dev", name.encode(), *words], check=True)


def main() -> None:
    """Change it."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.odd_names", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("--alias-only", action="store_true", help="it keeps its name, and stays up")
    given = parser.parse_args()
    spoil(given.interface, rename=not given.alias_only)


if __name__ == "__main__":
    main()
