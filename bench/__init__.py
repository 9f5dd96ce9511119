# SPDX-License-Identifier: Apache-2.0
"""Benchmarks, a package each: e2e (`fastpath bench`); docker, forwarders, micro, replay and scale (`./run bench NAME`).

Each package has the same shape: `command.py` is the command line (micro's is pytest: `conftest.py`), `results.py` the
schema of the JSON file that a run leaves, and `table.py` makes the tables in the documents of the runs that are kept in
bench/results. What several of them need is in `common`.
"""
