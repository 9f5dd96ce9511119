# SPDX-License-Identifier: Apache-2.0
"""Load forwarders from what users type: `acl.py rules=acl.toml '|' bridge`."""

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fastpath.control.model.requests import ForwarderElement, ForwarderInfo, ForwarderSet
from fastpath.engine.segment import Segment
from fastpath.errors import FastpathError, UsageError
from fastpath.forwarder.forwarder import Chain, Forwarder, Hub, LearningBridge, VxlanLearning

HEXADECIMAL = re.compile(r"\b0x[0-9a-fA-F]+\b")
BUILT_IN: dict[str, type[Forwarder]] = {"bridge": LearningBridge, "hub": Hub, "vxlan": VxlanLearning}


def set_forwarder(
    segment: Segment, wanted: ForwarderSet | None, default: type[Forwarder] = LearningBridge
) -> ForwarderInfo:
    """Set a segment's forwarder, or the default one, and return its state. This may take a while: do not call it in an
    event loop's thread. Raise FastpathError and change nothing if that fails."""
    segment.forwarder = load_all(wanted.elements) if wanted is not None else default()
    return info(segment)


def info(segment: Segment) -> ForwarderInfo:
    """Return the state of a segment's forwarder."""
    return ForwarderInfo.model_validate(asdict(segment.stats().forwarder))


def load_all(elements: Sequence[ForwarderElement]) -> Forwarder:
    """Load one forwarder, or a chain of them. Raise FastpathError."""
    loaded = [load(element.spec, element.parameters, Path(element.directory)) for element in elements]
    return loaded[0] if len(loaded) == 1 else Chain(*loaded)


def load(spec: str, parameters: Mapping[str, str] | None = None, directory: Path = Path()) -> Forwarder:
    """Load one forwarder: `bridge`, `vxlan`, `hub`, `FILE.py[:NAME]` or `package.module:NAME`. The text of each
    parameter is converted as the constructor's annotation says; paths are relative to `directory`. Raise
    FastpathError."""
    found = _find(spec, directory)
    if parameters and (isinstance(found, Forwarder) or spec in BUILT_IN):
        raise UsageError(f"{spec} takes no parameters")
    if isinstance(found, Forwarder):
        return found
    values = _converted(found, spec, parameters or {}, directory)
    try:
        return found(**values)
    except FastpathError:
        raise
    except Exception as error:
        raise UsageError(f"{spec}: {_one_line(error)}") from error


def _find(spec: str, directory: Path) -> type[Forwarder] | Forwarder:
    if spec in BUILT_IN:
        return BUILT_IN[spec]
    where, _, name = spec.rpartition(":") if ":" in spec else (spec, "", "")
    if where.endswith(".py") or "/" in where:
        module = _load_file(directory / where)
    elif name:
        module = _import(where)
    else:
        raise UsageError(f'"{spec}" is not a forwarder: FILE.py[:NAME], package.module:NAME, {" or ".join(BUILT_IN)}')
    found = getattr(module, name, None) if name else _only_one(module, spec)
    if isinstance(found, Forwarder) or (isinstance(found, type) and issubclass(found, Forwarder)):
        return found
    what = "has nothing of that name" if found is None else "is not derived from fastpath.Forwarder"
    raise UsageError(f"{spec} {what}")


def _load_file(path: Path) -> ModuleType:
    """Run a file and return it as a module; every call runs it again, since it may have changed."""
    name = f"fastpath_forwarder_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or path.suffix != ".py":
        raise UsageError(f"{path} is not a Python file: its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from None
    except FastpathError:
        raise
    except BaseException as error:  # even SystemExit, which is meant for the file, not for us
        raise UsageError(f"{path}{_line_of(error, path)}: {_one_line(error)}") from error
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"cannot import {name}: {_one_line(error)}") from error


def _only_one(module: ModuleType, spec: str) -> type[Forwarder] | Forwarder:
    """Return the forwarder that a file defines, if it defines exactly one."""
    found = dict(_defined(module))
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UsageError(f"{spec} has to define one forwarder, or say which: {spec}:NAME (it has {names})")
    return next(iter(found.values()))


def _defined(module: ModuleType) -> Iterator[tuple[str, type[Forwarder] | Forwarder]]:
    for name, value in vars(module).items():
        own = isinstance(value, type) and issubclass(value, Forwarder) and value.__module__ == module.__name__
        if not name.startswith("_") and (own or isinstance(value, Forwarder)):
            yield name, value


def _converted(kind: type[Forwarder], spec: str, texts: Mapping[str, str], directory: Path) -> dict[str, Any]:
    try:
        signature = inspect.signature(kind)
    except ValueError:  # compiled: it has no annotations, and refuses unknown parameters itself
        return dict(texts)
    known = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    for name in texts:
        if name not in known:
            raise UsageError(f"{spec} has no parameter {name}: it has {', '.join(known) or 'none'}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in texts:
            raise UsageError(f"{spec} needs the parameter {name}")
    hints = typing.get_type_hints(kind.__init__)
    return {name: _value(spec, name, text, hints.get(name, str), directory) for name, text in texts.items()}


def _value(spec: str, name: str, text: str, hint: Any, directory: Path) -> Any:
    """Convert a text as the annotation says; lists are separated by commas."""
    origin = typing.get_origin(hint) or hint
    if origin is not str and origin is not Path:
        text = HEXADECIMAL.sub(lambda match: str(int(match[0], 16)), text)
    given: Any = text
    if origin in (list, tuple, set, frozenset):
        given = [part.strip() for part in text.split(",") if part.strip()]
    elif origin is Path:
        given = directory / text
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(given)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{spec}: {name}={text}: {why}") from None


def _one_line(error: BaseException) -> str:
    text = str(error).strip().split("\n", maxsplit=1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
