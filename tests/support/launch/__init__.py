# SPDX-License-Identifier: Apache-2.0
"""`fastpath …` for tests, without a new interpreter for each start: a server that has loaded all of it forks.

A start of `python -m fastpath` takes 0.1 to 0.6 s of CPU time, most of it for imports, and the tests start hundreds.
What is started this way is a process of its own, with a PID, namespace, capabilities, environment and standard streams
as `ip netns exec` or `nsenter` and `setpriv` would give it. Some tests start real ones: those of the package, of the
demos and of the tutorial, and one with each store.
"""
