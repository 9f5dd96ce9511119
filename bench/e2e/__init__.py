# SPDX-License-Identifier: Apache-2.0
"""The end-to-end benchmark: two hosts, two containers, real traffic, side by side with other overlays.

A command makes a plan of names and scenarios (`command`, `names`, `scenarios`); a session lays the overlays over
`sites`, sends `traffic`, and leaves `results`, which `report` and `table` show.
"""
