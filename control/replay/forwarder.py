# SPDX-License-Identifier: Apache-2.0
"""The forwarder of a replay, by what was typed."""

from collections.abc import Callable

from fastpath.errors import UsageError
from fastpath.forwarder import Forwarder, Hub, LearningBridge

BUILT_IN: dict[str, Callable[[], Forwarder]] = {"bridge": LearningBridge, "hub": Hub}


def forwarder_maker(spec: str, parameters: dict[str, str]) -> Callable[[], Forwarder]:
    """What makes the forwarder of each segment. Raises UsageError."""
    if spec not in BUILT_IN:
        raise UsageError(f'there is no forwarder "{spec}": it is one of {", ".join(BUILT_IN)}')
    if parameters:
        raise UsageError(f"the forwarder {spec} has no parameters, so {next(iter(parameters))} means nothing to it")
    return BUILT_IN[spec]
