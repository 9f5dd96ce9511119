# SPDX-License-Identifier: Apache-2.0
"""Forwarders in Python that numba compiles. They run inside the workers, without the interpreter.

@compiled(place=np.full(65536, FLOOD, np.uint32))
def bridge(burst, place):
    for frame in burst:
        place[hash_of(frame.src_mac)] = frame.port
        frame.out = place[hash_of(frame.dst_mac)]
"""

import inspect
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, overload

import numpy as np

from fastpath.errors import UsageError
from fastpath.forwarder.compiled_forwarder import FIRST_REASON, CompiledForwarder
from fastpath.forwarder.record import RECORD

Function = Callable[..., None]
Array = np.ndarray[Any, Any]

GIVEN = ("now", "worker")  # what a function may ask for without declaring it

# What the workers call (fp_compiled_function in src/forward/compiled.h). An exception must not leave it: numba would
# wait for the interpreter to print it, and go on as if nothing had been.
ENTRY = """
def entry(records, count, counts, now, worker, arrays):
    try:
        function({arguments})
    except Exception:
        return 1
    return 0
"""


class Program:
    """A function, what was declared for it, and its compiled form, which is made when it is first needed."""

    def __init__(
        self, function: Function, arrays: dict[str, Array], reasons: tuple[str, ...], counters: tuple[str, ...]
    ) -> None:
        self.function, self.arrays, self.reasons, self.counters = function, arrays, reasons, counters
        self.bounds_checked = True
        self.where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
        self._lock = threading.Lock()
        self._compiled: Any = None
        declared = [*arrays, *reasons, *counters, *GIVEN]
        for name in declared:
            if declared.count(name) > 1 or not name.isidentifier():
                raise self.error(f"{name!r} cannot be declared: each name once, and as Python spells names")
        self.parameters = tuple(inspect.signature(function).parameters)[1:]
        for name in self.parameters:
            if name not in declared:
                raise self.error(f"nothing is declared for its parameter {name}: there are {', '.join(declared)}")

    def error(self, what: str) -> UsageError:
        """Return an error whose one line tells where the function is."""
        return UsageError(f"{self.where}: {self.function.__name__}: {what}")

    @property
    def address(self) -> int:
        """Return the address of the compiled function. Raise UsageError if it cannot be compiled."""
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile()
            return int(self._compiled.address)

    def _argument(self, name: str) -> str:
        if name in self.arrays:
            return f"carray(arrays[{list(self.arrays).index(name)}], {name}_shape, {name}_type)"
        if name in self.counters:
            at = self.counters.index(name)
            return f"carray(counts, {len(self.counters)})[{at}:{at + 1}]"
        if name in self.reasons:
            return str(FIRST_REASON + self.reasons.index(name))
        return name

    def _compile(self) -> Any:
        try:
            import numba  # noqa: PLC0415 – heavy, and needed only to compile
            from numba import types  # noqa: PLC0415
        except ImportError as error:
            raise self.error(f"it is compiled by numba, which is not installed ({error}): pip install numba") from error
        except Exception as error:
            raise self.error(f"numba cannot start: {reason(error, self.function)}") from error
        names: dict[str, Any] = {"carray": numba.carray}
        for name, array in self.arrays.items():
            names[f"{name}_shape"], names[f"{name}_type"] = array.shape, array.dtype
        arguments = ["carray(records, count)", *(self._argument(name) for name in self.parameters)]
        u32, pointer = types.uint32, types.CPointer
        signature = types.int32(
            pointer(numba.from_dtype(RECORD)), u32, pointer(types.uint64), u32, u32, pointer(types.voidptr)
        )
        try:
            names["function"] = numba.njit(boundscheck=self.bounds_checked)(self.function)
            exec(ENTRY.format(arguments=", ".join(arguments)), names)  # noqa: S102 – ours, but for the checked names
            return numba.cfunc(signature)(names["entry"])
        except Exception as error:
            raise self.error(f"numba cannot compile it: {reason(error, self.function)}") from error


def reason(error: Exception, function: Function) -> str:
    """Return the essence of numba's many lines: what is wrong, and in which line of the function's file."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if "executable memory" in text:
        return (
            "this process may not make memory executable, as fastpath's systemd unit forbids: see "
            "docs/forwarding/forwarders-numba.md, Under systemd"
        )
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("Failed in", "- ", "During", "Traceback"))]
    at = re.findall(rf'{re.escape(function.__code__.co_filename.rsplit("/", 1)[-1])}", line (\d+)', text)
    return (said[0] if said else type(error).__name__) + (f" (line {at[-1]})" if at else "")


class Compiled(CompiledForwarder):
    """The base class of what `compiled` returns. Keywords fill the declared arrays: `limiter(rate=1000)`."""

    program: Program

    def __init__(self, **contents: Any) -> None:
        program = self.program
        self.arrays = {name: np.array(array, order="C") for name, array in program.arrays.items()}
        for name, value in contents.items():
            if name not in self.arrays:
                raise program.error(f"it has no option {name}: there are {', '.join(self.arrays) or 'none'}")
            try:
                self.arrays[name][...] = value
            except (TypeError, ValueError, OverflowError) as error:
                raise program.error(f"{name}: {error}") from error
        self.install(program.address, list(self.arrays.values()), program.reasons, program.counters)


def _make(
    function: Function, reasons: Iterable[str], counters: Iterable[str], bounds_checked: bool, arrays: dict[str, Any]
) -> type[Compiled]:
    program = Program(function, arrays, tuple(reasons), tuple(counters))
    program.bounds_checked = bounds_checked
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.hasobject:
            raise program.error(f"{name} must be an array of numpy, of one dimension at least, without objects in it")
    # What can be given is found where programs look for it (control/runtime/forwarders.py).
    options = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=array) for name, array in arrays.items()]
    inherited = {
        "program": program,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__signature__": inspect.Signature(options),
    }
    return type(function.__name__, (Compiled,), inherited)


@overload
def compiled(function: Function, /) -> type[Compiled]: ...
@overload
def compiled(
    *, reasons: Iterable[str] = (), counters: Iterable[str] = (), bounds_checked: bool = True, **arrays: Array
) -> Callable[[Function], type[Compiled]]: ...
def compiled(
    function: Function | None = None,
    /,
    *,
    reasons: Iterable[str] = (),
    counters: Iterable[str] = (),
    bounds_checked: bool = True,
    **arrays: Array,
) -> type[Compiled] | Callable[[Function], type[Compiled]]:
    """Return a forwarder class for a function over a burst, an array of `record.RECORD`
    (docs/forwarding/forwarders-numba.md).

    Its first parameter is the burst; the others have the names of declared arrays (memory of the forwarder's, which
    starts with these contents), reasons (decisions to discard a frame), counters (arrays of one number), or `now` and
    `worker`. Raises UsageError for what cannot be so; it is compiled when the first forwarder is made.
    """
    if function is not None:
        return _make(function, reasons, counters, bounds_checked, arrays)
    return lambda function: _make(function, reasons, counters, bounds_checked, arrays)
