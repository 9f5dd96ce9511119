# SPDX-License-Identifier: Apache-2.0
"""Errors, in words for the person who typed the command."""


class FastpathError(Exception):
    """Base of all errors that fastpath raises. The text is one line: what is wrong, and what to do."""


class UsageError(FastpathError, ValueError):
    """A value is invalid: an address, a VNI out of range, an unknown option."""


class ConflictError(FastpathError):
    """The name, number or UDP port is in use, or the object was removed."""


class RefusedError(FastpathError):
    """The kernel refused: missing privilege, no such address on this host, no memory."""


class NotFoundError(UsageError, KeyError):
    """There is nothing of that name."""

    __str__ = Exception.__str__  # KeyError would show the line in quotes
