# SPDX-License-Identifier: Apache-2.0
"""Write the man page and the shell completion of `fastpath`, from its commands: python packaging/generate.py"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from fastpath.control.cli.main import COMMANDS, main

HERE = Path(__file__).parent
MAN_PAGE = HERE / "man" / "fastpath.1"
# The names that the shells look for, in the folders of pyproject.toml.
COMPLETION = {"bash": "fastpath.bash", "zsh": "_fastpath", "fish": "fastpath.fish"}
FILES = """.SH FILES
.TP
.I /run/fastpath/daemon.sock
Socket of the daemon; commands read another path from the environment variable
.BR FASTPATH_SOCKET .
.TP
.I /var/lib/fastpath
State of the daemon.
.SH EXIT STATUS
0 on success, 2 after an error, which is one line on standard error.
.SH SEE ALSO
.BR ip\\-link (8),
.BR bridge (8),
.BR pcap\\-filter (7),
.BR tcpdump (8)
"""


def escaped(text: str) -> str:
    """Return text that roff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)
    return "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in text)


def paragraphs(text: str) -> Iterator[str]:
    """Yield a docstring's paragraphs. Those below a \\b keep their lines, as in click."""
    for paragraph in inspect.cleandoc(text).replace("\n\b\n", "\n\n\b\n").split("\n\n"):
        lines = paragraph.strip("\n").split("\n")
        if lines[0] == "\b":
            title, *rest = lines[1:]
            yield f".PP\n{escaped(title)}\n.PP\n.nf\n" + "\n".join(escaped(line) for line in rest) + "\n.fi"
        else:
            yield ".PP\n" + escaped(" ".join(lines))


def metavar(option: click.Option) -> str:
    """Return what stands for the option's value."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return option.metavar or {"integer range": "N", "float range": "X", "integer": "N"}.get(
        option.type.name, option.type.name.upper()
    )


def option_entry(option: click.Option) -> str:
    """Return an option with its help."""
    value = metavar(option)
    names = ", ".join(rf"\fB{escaped(name)}\fR" for name in (*option.opts, *option.secondary_opts))
    lines = [".TP", names + (rf" \fI{escaped(value)}\fR" if value else ""), escaped(option.help or "")]
    if option.show_default is True and not option.is_flag:
        lines.append(escaped(f"[default: {option.default}]"))
    return "\n".join(lines)


def usage(command: click.Command) -> str:
    """Return the arguments of a command."""
    own = getattr(command, "_usage", None)
    if own is not None:
        return str(own)
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    return " ".join(
        name if argument.required else f"[{name}]"
        for argument in arguments
        for name in [argument.metavar or (argument.name or "").upper()]
    )


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield all commands with their full names, each group before its own."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def man_page() -> str:
    """Return fastpath(1)."""
    lines = [
        '.\\" Made by packaging/generate.py',
        '.TH FASTPATH 1 "" fastpath "User Commands"',
        ".SH NAME\nfastpath \\- VXLAN overlay with its data plane in userspace",
        ".SH SYNOPSIS\n.B fastpath\n.I COMMAND\n[\\fIARGUMENT\\fR]...",
        ".SH DESCRIPTION",
        *paragraphs(main.help or ""),
        ".SH COMMANDS",
        *(f".TP\n.B {escaped(name)}\n{escaped(line)}" for name, (_, line) in COMMANDS.items()),
    ]
    for name, command in commands(main, "fastpath"):
        title = escaped(f"{name} {usage(command)}".rstrip())
        lines += [f'.SH "{title.replace(chr(34), "")}"', *paragraphs(command.help or "")]
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        lines += [option_entry(option) for option in options]
    return "\n".join(lines) + "\n" + FILES


def completion(shell: str) -> str:
    """Return the completion script of a shell, by click."""
    made = get_completion_class(shell)
    if made is None:
        raise ValueError(f"click knows no shell {shell}")
    script = made(main, {}, "fastpath", "_FASTPATH_COMPLETE")
    return (made.source_template % script.source_vars()).strip() + "\n"


def files() -> dict[Path, str]:
    """Return every file with its content."""
    scripts = {HERE / "completion" / name: completion(shell) for shell, name in COMPLETION.items()}
    return {MAN_PAGE: man_page(), **scripts}


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
