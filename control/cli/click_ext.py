# SPDX-License-Identifier: Apache-2.0
"""Kinds of commands that click does not have."""

import importlib
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


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called: `lazy` says for each name where it is, as
    "module:attribute", and the line of help that stands in the list."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, as they are listed here: what belongs together stands together."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, for which nothing is loaded."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])
