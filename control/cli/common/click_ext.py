# SPDX-License-Identifier: Apache-2.0
"""Kinds of commands that click lacks."""

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem


class Words(click.Command):
    """A command with iproute2 syntax. Its usage line is `usage`."""

    def __init__(self, *args: Any, usage: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._usage = usage

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the usage line, after the command's name."""
        return ["[OPTIONS]", self._usage]


class LazyGroup(click.Group):
    """A group that loads a command when it is called. `lazy` has for each name its place, as "module:attribute", and
    its line in the list."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of `lazy`."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command and return it."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so, without loading a command, and the options."""
        names = [
            CompletionItem(name, help=line) for name, (_, line) in self.lazy.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list in --help, without loading a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])
