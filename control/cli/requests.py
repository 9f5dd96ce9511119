# SPDX-License-Identifier: Apache-2.0
"""Requests, from what was typed."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fastpath.errors import UsageError

M = TypeVar("M", bound=BaseModel)

HINTS = {
    "--subnet": "a subnet such as 10.1.0.0/24 or fd00:1::/64",
    "--gateway": "an address such as 10.1.0.1",
    "--ip": "an address such as 10.1.0.5",
    "--vni": "256 to 16777215",
    "--mtu": "68 to 65521",
}


def build(model: type[M], words: dict[str, str], **values: object) -> M:
    """Return a request with these values. `words` has what was typed for each of its fields: `--subnet` for `subnets`.
    Raise UsageError, in one line that names it."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        word = words[str(first["loc"][0])]
        why = HINTS.get(word) or first["msg"].removeprefix("Value error, ")
        raise UsageError(f'{word} "{first["input"]}" cannot be: {why}') from None
