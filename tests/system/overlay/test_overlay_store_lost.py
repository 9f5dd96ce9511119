# SPDX-License-Identifier: Apache-2.0
"""A store that lost everything, and a host that returns when others have its addresses."""

import contextlib
import signal
from pathlib import Path

import pytest

from fastpath.control.model.objects import Endpoint
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import wait_for
from tests.support.servers.site import MORTAL, links, pinged, site


def test_a_store_that_lost_everything_takes_nothing_from_containers(tmp_path: Path) -> None:
    with site(2, tmp_path, settings=MORTAL) as two:
        two.start()
        h1, h2 = two.daemons
        h1.network("web", subnets=["10.9.0.0/24"])
        h1.join(two.containers[0], "web")
        h1.knows(h2.join(two.containers[1], "web"))
        assert pinged(two.containers[0], "10.9.0.3") == 3
        for end in ("-wal", "-shm", ""):  # lest a new file is given the old one's log
            (tmp_path / f"store.db{end}").unlink(missing_ok=True)
        for daemon in two.daemons:
            daemon.wait(lambda status: any("lost all its data" in each for each in status.problems), "it says so")
        with pytest.raises(FastpathError, match="lost all its data"):
            h1.network("db")
        # Both register in the new store, at the latest with the next refresh of their lease.
        wait_for(lambda: len(_keys(tmp_path / "store.db")) == 2, "both have registered")
        for daemon in two.daemons:
            daemon.wait(lambda status: any("lost all its data" in each for each in status.problems), "it still does")
            assert {each.network.name for each in daemon.client.networks()} == {"web"}
        assert pinged(two.containers[0], "10.9.0.3") == 3


def _keys(file: Path) -> list[str]:
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as db:
        found = [row[0] for row in db.execute("SELECT key FROM item WHERE key LIKE '%/peers/%'")]
    db.close()
    return found


def test_a_host_that_was_away_gives_up_what_others_have_now(tmp_path: Path) -> None:
    with site(3, tmp_path, settings=MORTAL) as three:
        three.start()
        h1, h2, h3 = three.daemons
        c1, c2, c3 = three.containers
        h1.network("web", subnets=["10.9.0.0/24"])
        h1.join(c1, "web", addresses=["10.9.0.7"])
        h3.join(c3, "web")
        h1.pause()  # longer than its lease and the grace time

        def join() -> Endpoint | None:
            with contextlib.suppress(FastpathError):
                return h2.join(c2, "web", addresses=["10.9.0.7"])
            return None

        taken = wait_for(join, "h2 may have the address")
        assert taken is not None
        h1.send_signal(signal.SIGCONT)
        wait_for(lambda: "eth0" not in links(c1), "h1 takes its container's interface away")
        h1.healthy()
        assert links(c2)["eth0"]["address"] == "02:42:0a:09:00:07"
        h3.knows(taken)
        assert pinged(c3, "10.9.0.7") == 3
        h2.knows(h1.join(c1, "web"))
        assert pinged(c1, "10.9.0.7") == 3
