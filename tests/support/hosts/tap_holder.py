# SPDX-License-Identifier: Apache-2.0
"""A process with an engine and TAPs in two containers, for tests that kill it:

python -m tests.support.hosts.tap_holder make|adopt WORKERS CONTAINER1 CONTAINER2
"""

import sys

from fastpath import Engine, TapPort
from fastpath.control.kernel import netlink, netns
from fastpath.errors import FastpathError


def main(verb: str, workers: str, *containers: str) -> None:
    with Engine("127.0.0.1", udp_port=4799 if verb == "make" else 4800, workers=int(workers)) as engine:
        segment = engine.add_segment(300)
        ports: list[TapPort] = []
        for number, container in enumerate(containers):
            if verb == "adopt":
                ports.append(netns.inside(f"/run/netns/{container}", lambda: segment.adopt_tap("eth0")))
            else:
                port = segment.add_tap(f"fpt{number}", mtu=1400)
                netlink.move_link(port.name, container, "eth0")
                port.persist = True
                ports.append(port)
        engine.start()
        print("ready", [port.mtu for port in segment.ports], flush=True)
        if sys.stdin.readline().strip() == "remove":
            for port in ports:
                port.persist = False
                segment.remove_port(port)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FastpathError as error:
        sys.exit(str(error))
