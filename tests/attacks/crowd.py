# SPDX-License-Identifier: Apache-2.0
"""Fill the present namespace with routes, addresses or interfaces, as a container with NET_ADMIN can:
`ip netns exec c1 python -m tests.attacks.crowd eth0 routes 20000`."""

import argparse
import subprocess


def words(kind: str, name: str, count: int) -> str:
    """Return the lines of an `ip -batch` that make so many objects at the interface `name`."""
    lines = {
        "routes": "route add 10.{0}.{1}.{2}/32 dev {name}",
        "addresses": "address add 10.{0}.{1}.{2}/32 dev {name}",
        "links": "link add x{0}-{1}-{2} type bridge",
    }
    line = lines[kind]
    numbers = ((100 + (i >> 16), i >> 8 & 255, i & 255) for i in range(count))
    return "".join(line.format(*each, name=name) + "\n" for each in numbers)


def crowd(kind: str, name: str, count: int, *, before: tuple[str, ...] = ("ip",)) -> None:
    """Make them. `before` are the words of `ip`, perhaps with a namespace."""
    subprocess.run([*before, "-batch", "-"], input=words(kind, name, count), text=True, check=True)


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.crowd", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("kind", choices=["routes", "addresses", "links"], help="what to make")
    parser.add_argument("count", type=int, help="how many")
    given = parser.parse_args()
    crowd(given.kind, given.interface, given.count)
    print(f"made {given.count} {given.kind}")


if __name__ == "__main__":
    main()
