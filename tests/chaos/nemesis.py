# SPDX-License-Identifier: Apache-2.0
"""Choose faults by a seed, let them happen, and have everything checked. A seed that failed chooses the same again."""

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastpath.errors import FastpathError
from tests.chaos import checks
from tests.chaos.bed import NETWORK, Bed
from tests.chaos.faults import FAULTS, Fault

LOOK_S = 0.5
AGREE_S = 60.0  # how long hosts may take to agree, on a machine that has other things to do
QUIET_S = 2.0  # after each step: what goes wrong late is not taken for the next one's


class ViolationError(AssertionError):
    """What did not hold, one sentence a line."""


@dataclass
class History:
    """What happened: lines of JSON, in a file too, and sentences for people."""

    file: Path | None = None
    say: Callable[[str], None] = print
    began: float = field(default_factory=time.monotonic)

    def note(self, kind: str, text: str, **more: Any) -> None:
        """Add a line."""
        at = time.monotonic() - self.began
        self.say(f"{at:7.1f} s  {text}")
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(json.dumps({"at": round(at, 2), "kind": kind, "text": text, **more}) + "\n")


class Nemesis:
    """Call `run` with a bed that was started."""

    def __init__(self, bed: Bed, seed: int, history: History, only: Sequence[str] = ()) -> None:
        self._bed = bed
        self._seed = seed
        self._history = history
        self._faults = [FAULTS[name] for name in only] or list(FAULTS.values())
        self._longest = 0.0  # silence, without a disturbance

    def run(self, minutes: float) -> None:
        """Let faults happen for so long; then remove everything, and look what is left. Raise ViolationError."""
        end = time.monotonic() + 60 * minutes
        step = 0
        self._agree()
        # Each fault once, in a random order, before one comes again.
        for step, chosen in enumerate(self._plan(), 1):
            if time.monotonic() >= end:
                break
            self._step(step, chosen)
        starved = self._bed.talk.starved
        self._history.note(
            "end",
            f"{step} steps; the longest silence without a disturbance was {self._longest:.1f} s; "
            f"this process was late by {starved:.1f} s",
            longest=self._longest,
            starved=starved,
        )

    def _plan(self) -> Iterator[list[Fault]]:
        choose = random.Random(self._seed)
        while True:
            order = choose.sample(self._faults, len(self._faults))
            while order:
                chosen = [order.pop()]
                others = [each for each in order if each.touches != chosen[0].touches]
                if others and choose.random() < 0.5:  # two at once
                    chosen.append(choose.choice(others))
                    order.remove(chosen[1])
                yield chosen

    def _step(self, step: int, chosen: list[Fault]) -> None:
        choose = random.Random(f"{self._seed}-{step}")
        with contextlib.ExitStack() as stack:
            for each in chosen:
                said = stack.enter_context(each.happen(self._bed, choose))
                self._history.note("fault", said, fault=each.name, step=step)
            lasts = max(choose.uniform(each.shortest, each.longest) for each in chosen)
            self._watch(min(lasts, *(each.longest for each in chosen)))
        self._history.note("healed", "healed", step=step)
        took = self._agree()
        self._watch(QUIET_S)
        self._history.note("agreed", f"agreed after {took:.1f} s", step=step, took=took)

    def _watch(self, seconds: float) -> None:
        """Check for so long what holds all the time."""
        end = time.monotonic() + seconds
        while True:
            self._check()
            if time.monotonic() >= end:
                return
            time.sleep(min(LOOK_S, max(0.0, end - time.monotonic())))

    def _check(self) -> None:
        said = checks.talking(self._bed)
        self._longest = max([self._longest, *(each.seconds for each in checks.silent(self._bed, 0.0))])
        if said:
            raise ViolationError("\n".join(said))

    def _agree(self) -> float:
        """Wait until all hosts agree, which they do in time; return how many seconds it took."""
        begin, late = time.monotonic(), self._bed.talk.starved
        while said := self._differences():
            self._check()
            if time.monotonic() - begin - (self._bed.talk.starved - late) > AGREE_S:
                raise ViolationError(f"{AGREE_S:.0f} s after it was healed:\n" + "\n".join(said))
            time.sleep(LOOK_S)
        return time.monotonic() - begin

    def _differences(self) -> list[str]:
        """What is not as it has to be once all hosts agree."""
        try:
            return [
                *checks.unique(self._bed),
                *checks.agreed(self._bed),
                *checks.claimed(self._bed),
                *checks.interfaces(self._bed),
            ]
        except (OSError, FastpathError) as error:
            return [f"cannot look: {error}"]


def clear(bed: Bed, before: Sequence[checks.Traces], history: History) -> None:
    """Remove everything, and look what is left. Raise ViolationError."""
    for key in bed.talk.members():
        bed.talk.remove(key)
    for endpoint in bed.stored_endpoints():
        if (daemon := bed.daemon_of(endpoint)) is not None:
            daemon.client.remove_endpoint(endpoint.id)
    bed.daemons[0].client.remove_network(NETWORK)
    end = time.monotonic() + AGREE_S
    while said := [
        *checks.left_in_store(bed),
        *(
            f"h{number}: {text}"
            for number, (daemon, first) in enumerate(zip(bed.daemons, before, strict=True), 1)
            for text in checks.left(first, checks.traces(daemon))
        ),
    ]:
        if time.monotonic() > end:
            raise ViolationError("after everything was removed:\n" + "\n".join(said))
        time.sleep(LOOK_S)
    memory = [checks.traces(daemon).memory >> 20 for daemon in bed.daemons]
    history.note("cleared", f"nothing is left; the daemons have {memory} MiB", memory=memory)
