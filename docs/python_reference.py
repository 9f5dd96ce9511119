#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/forwarding/python.md, the reference of the Python package, from its stubs and docstrings.

python docs/python_reference.py > docs/forwarding/python.md
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastpath

WIDTH = 98
HEAD = """# The Python package

Made from stubs and docstrings by `docs/python_reference.py`. Errors are `FastpathError`; tutorials
are [forwarders.md](forwarders.md), [forwarders-numba.md](forwarders-numba.md) and
[forwarders-cython.md](forwarders-cython.md)."""
CONSTANTS = {
    "PASS": "The decision to leave a frame to the next forwarder of a chain.",
    "FLOOD": "The decision to send a frame to every port, and from a port to every remote.",
    "DROP": "The decision to discard a frame.",
    "SENT": "The decision about a frame that the forwarder has sent itself.",
    "DROP_SENTENCES": "Reasons to discard a frame: name → sentence ([counters.md](../operators/counters.md)).",
    "EVENT_SENTENCES": "Other events that are counted: name → sentence.",
}
MODULES = {
    "fastpath.forwarder.compiled": ("compiled",),
    "fastpath.pcap.pcapng": ("PcapngWriter",),
}
Definition = ast.ClassDef | ast.FunctionDef


def definitions(module: str) -> dict[str, Definition]:
    """Return the classes and functions of a module, from its stub if it has one."""
    path = Path(fastpath.__file__).parent.joinpath(*module.split(".")[1:])
    path = path / "__init__" if path.is_dir() else path
    source = path.with_suffix(".pyi")
    tree = ast.parse((source if source.exists() else path.with_suffix(".py")).read_text())
    # Of overloads the last one stays, which is the general one.
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def prose(thing: object) -> str:
    """Return an object's docstring in lines; Cython puts the signature in front of it."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    first, _, rest = text.partition("\n")
    if re.match(r"[\w.]+\(.*\)( -> .*)?$", first):
        text = rest.strip("\n")
    return "\n\n".join(_paragraph(part) for part in text.split("\n\n") if part)


def _paragraph(text: str) -> str:
    if text.startswith((" ", "\t", "@")) or "\n    " in text:
        return "```python\n" + textwrap.dedent(text) + "\n```"
    return textwrap.fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def signature(name: str, function: ast.FunctionDef) -> str:
    """Return a function as it is called, in one line or a line for each parameter."""
    arguments = function.args
    for kind in (arguments.posonlyargs, arguments.args):
        if kind and kind[0].arg in ("self", "cls"):
            del kind[0]
            break
    returns = f" -> {ast.unparse(function.returns)}" if function.returns is not None else ""
    line = f"{name}({ast.unparse(arguments)}){returns}"
    if len(line) <= WIDTH:
        return line
    parts = re.split(r", (?![^\[(]*[\])])", ast.unparse(arguments))
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){returns}"])


def is_property(function: ast.FunctionDef) -> bool:
    """Return whether the function is read like an attribute."""
    return any(ast.unparse(each) in ("property", "functools.cached_property") for each in function.decorator_list)


def attribute(name: str, kind: ast.expr | None, about: str) -> str:
    """Return an attribute as an item of a list."""
    text = f"`{name}: {ast.unparse(kind)}`" if kind is not None else f"`{name}`"
    text = re.sub(r"`[^`]*`", lambda code: code.group().replace(" ", "\0"), f"{text}  {about}".strip())
    filled = textwrap.fill(text, WIDTH, initial_indent="* ", subsequent_indent="  ", break_long_words=False)
    return filled.replace("\0", " ")


def members(name: str, node: ast.ClassDef, found: Any) -> Iterator[str]:
    """Yield the attributes of a class as a list, then its public methods."""
    attributes, methods = [], []
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            if not member.target.id.startswith("_"):
                attributes.append(attribute(member.target.id, member.annotation, ""))
        elif isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
            if any(ast.unparse(each).endswith(".setter") for each in member.decorator_list):
                continue
            about = prose(getattr(found, member.name, None))
            if is_property(member):
                attributes.append(attribute(member.name, member.returns, about.replace("\n", " ")))
            else:
                methods.append(f"```python\n{signature(f'{name}.{member.name}', member)}\n```\n{about}".strip())
    yield "\n".join(attributes)
    yield from methods


def described(name: str, module: str) -> Iterator[str]:
    """Yield the Markdown of one class or function."""
    found, node = getattr(importlib.import_module(module), name), definitions(module).get(name)
    yield f"### {name}"
    if isinstance(node, ast.FunctionDef):
        yield f"```python\n{signature(name, node)}\n```"
        yield prose(found)
    elif node is not None:
        makers = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        maker = next((each for each in makers if each.name in ("__init__", "__new__")), None)
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        if maker is not None and issubclass(found, object):
            maker.returns = None
            yield f"```python\n{signature(name, maker)}\n```"
        yield prose(found)
        yield f"Bases: `{bases}`." if bases else ""
        yield from members(name, node, found)


def reference() -> str:
    """Return the whole document."""
    parts = [HEAD, "## fastpath"]
    for name in sorted(fastpath.__all__, key=str.lower):
        if name in CONSTANTS:
            parts += [f"### {name}", CONSTANTS[name]]
        else:
            parts += described(name, getattr(fastpath, name).__module__)
    for module, names in MODULES.items():
        parts += [f"## {module}", *(part for name in names for part in described(name, module))]
    record = importlib.import_module("fastpath.forwarder.record")
    parts += ["## fastpath.forwarder.record", "`RECORD` is the numpy type of the columns of a burst:"]
    fields = [(name, record.RECORD.fields[name][0]) for name in record.COLUMNS]
    table = [f"| `{name}` | `{kind.base}`{' × 2' if kind.shape else ''} |" for name, kind in fields]
    parts += ["\n".join(["| column | type |", "| --- | --- |", *table])]
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    print(reference())
