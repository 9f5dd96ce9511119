# SPDX-License-Identifier: Apache-2.0
"""What programs that make traffic say, and what it means."""

import json

import pytest

from fastpath.bench.e2e.traffic import streams, web, window
from fastpath.errors import RefusedError


def test_iperf_must_have_used_the_congestion_control_that_was_asked_for() -> None:
    said = json.dumps({"end": {"sum_sent": {}, "sum_received": {}, "sender_tcp_congestion": "bbr"}})
    assert streams.read_end(said, None) == streams.read_end(said, "bbr")
    with pytest.raises(RefusedError, match="iperf3 used bbr instead of cubic"):
        streams.read_end(said, "cubic")
    with pytest.raises(RefusedError, match="iperf3: no route"):
        streams.read_end('{"error": "no route"}', None)
    with pytest.raises(RefusedError, match="iperf3 said: nonsense"):
        streams.read_end("much\nnonsense", None)


WRK = """Running 1s test @ http://10.9.0.2:8080/file
  1 threads and 1 connections
  Latency Distribution
     50%  462.00us
     75%  512.00us
     90%  600.00us
     99%    1.97ms
  1777 requests in 1.00s, 173.9MB read
Requests/sec:   1777.50
Transfer/sec:    173.90MB
"""


def test_what_wrk_says_is_read() -> None:
    assert web.read_report(WRK) == {"answers_per_s": 1777.5, "p50_us": 462.0, "p99_us": 1970.0}
    assert web.read_report(WRK.replace("1.97ms", "1.50s"))["p99_us"] == 1.5e6


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("unable to connect to 10.9.0.2:8080 Connection refused", "wrk said: unable to connect"),
        (WRK.replace("1777.50", "0.00"), "wrk said: Transfer/sec"),
        (WRK.replace("     99%    1.97ms\n", ""), "wrk said: Transfer/sec"),
        (WRK.replace("1.97ms", "1.97weeks"), "wrk said: 1.97weeks"),
        (WRK + "  Socket errors: connect 0, read 3, write 0, timeout 0\n", "Socket errors: connect 0, read 3"),
        (WRK + "  Non-2xx or 3xx responses: 12\n", "Non-2xx or 3xx responses: 12"),
    ],
)
def test_what_wrk_says_of_a_failure_is_no_figure(output: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        web.read_report(output)


def test_what_did_not_arrive_is_lost() -> None:
    assert window.lost_percent({"total": 75.0}, {"total": 100.0}) == 25
    assert window.lost_percent({"total": 100.0}, {"total": 100.0}) == 0
    assert window.lost_percent({"total": 0.0}, {"total": 0.0}) == 0
