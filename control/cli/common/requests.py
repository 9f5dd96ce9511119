# SPDX-License-Identifier: Apache-2.0
"""Build requests from command-line values."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fastpath.errors import UsageError

M = TypeVar("M", bound=BaseModel)

HINTS = {
    "--subnet": "expected a subnet, e.g. 10.1.0.0/24 or fd00:1::/64",
    "--gateway": "expected an address, e.g. 10.1.0.1",
    "ADDRESS": "expected an address, e.g. 10.1.0.5",
    "--ip": "expected an address, e.g. 10.1.0.5",
    "--vni": "expected 256 to 16777215",
    "--mtu": "expected 68 to 65521",
}


def build(model: type[M], words: dict[str, str], **values: object) -> M:
    """Return a request with these values. Raise UsageError, which names the option: `words` has it for each field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        word = words[str(first["loc"][0])]
        why = HINTS.get(word) or first["msg"].removeprefix("Value error, ")
        raise UsageError(f'invalid {word} "{first["input"]}": {why}') from None
