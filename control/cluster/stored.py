# SPDX-License-Identifier: Apache-2.0
"""Objects as the store keeps them: JSON. Anybody who can write to the store can put anything there, so each value is
checked before it is used, and one that is too large is not even parsed."""

import json
from typing import TypeVar

from pydantic import ValidationError

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint, Network, Peer, Stored
from fastpath.control.store.interface import Item
from fastpath.text import printable

MAX_VALUE = 64 << 10  # bytes; the largest endpoint that we write has 16 KiB

MAX_LINE = 300  # characters of it that a person is shown

T = TypeVar("T", bound=Stored)


def to_json(model: Network | Endpoint, before: bytes = b"{}") -> bytes:
    """Return the value that the store keeps. It keeps those fields of the value `before` that this version does not
    know."""
    if before == b"{}":
        return model.model_dump_json().encode()
    unknown = {name: value for name, value in json.loads(before).items() if name not in type(model).model_fields}
    return json.dumps({**model.model_dump(mode="json"), **unknown}, separators=(",", ":")).encode()


def parse(kind: type[T], value: bytes) -> T:
    """Return the object of a value. Raise ValueError if there is none, or the value is too large."""
    if len(value) > MAX_VALUE:
        raise ValueError(f"it has {len(value)} bytes, {MAX_VALUE} at most")
    try:
        return kind.model_validate_json(value)
    except ValueError:
        raise
    except Exception as error:  # of what a validator calls, e.g. ipaddress with false
        raise ValueError(f"its parser fails ({type(error).__name__}: {error})") from error


def read_network(item: Item) -> Network | None:
    """Return the network, None if the value cannot be read or is another network's."""
    network = _read(Network, item)
    return network if network is not None and keys.network(network.name) == item.key else None


def read_endpoint(item: Item) -> Endpoint | None:
    """Return the endpoint, None if the value cannot be read."""
    return _read(Endpoint, item)


def read_peer(item: Item) -> Peer | None:
    """Return the peer, None if the value cannot be read."""
    return _read(Peer, item)


def why(error: ValueError) -> str:
    """Return what is wrong with a value, in one line."""
    text = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # else a validator of pydantic's
        text = f"{where or 'value'}: {first['msg']}"
    return shown(text)


def shown(text: str) -> str:
    """Return a text from the store as one line for a person, cut off where it is too long."""
    line = printable(text[:MAX_LINE])
    return line if len(text) <= MAX_LINE else line + "…"


def _read(kind: type[T], item: Item) -> T | None:
    try:
        return parse(kind, item.value)
    except ValueError:
        return None
