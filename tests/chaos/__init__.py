# SPDX-License-Identifier: Apache-2.0
"""Hosts, containers that talk all the time, and a nemesis that breaks what they stand on: `./run chaos`.

bed.py     the hosts, the store, the containers
talk.py    what the containers say to each other, and when they last heard it
walls.py   which machine cannot send to which
faults/    what the nemesis can do
checks.py  what holds all the time, after each fault, and at the end
nemesis.py chooses faults by a seed, and has everything checked
"""
