# SPDX-License-Identifier: Apache-2.0
"""An engine with two TAPs on one segment, for the `local` scenarios: python -m fastpath.bench.e2e.sites.local_engine

The TAPs are called local1 and local2. The only option of `fastpath vxlan add` that it knows is --workers.
"""

import argparse

from fastpath import Engine
from fastpath.bench.e2e.sites.peers import VNI
from fastpath.bench.e2e.sites.site import OVERLAY_MTU

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="local_engine", description="an engine with two TAPs on one segment")
    parser.add_argument("--workers", type=int, default=1)
    with Engine("192.0.2.1", workers=parser.parse_args().workers) as engine:
        segment = engine.add_segment(VNI)
        for number in (1, 2):
            segment.add_tap(f"local{number}", mtu=OVERLAY_MTU)
        engine.run()
