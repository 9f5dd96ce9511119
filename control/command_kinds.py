# SPDX-License-Identifier: Apache-2.0
"""Kinds of commands that click does not have."""

from typing import Any

import click


class Words(click.Command):
    """A command whose arguments are words, as in iproute2; its --help shows the words as they are."""

    def __init__(self, *args: Any, usage: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._usage = usage

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind the command's name in the usage line."""
        return ["[OPTIONS]", self._usage]
