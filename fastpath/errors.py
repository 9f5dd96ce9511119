# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, in words for the person who typed the command."""


class FastpathError(Exception):
    """The base of all errors that fastpath raises: one line that says what is wrong and what to do."""


class UsageError(FastpathError, ValueError):
    """A value or a word that cannot be right: an address, a VNI out of range, an unknown option."""


class ConflictError(FastpathError):
    """The name, number or UDP port is taken, or the object was removed meanwhile."""


class RefusedError(FastpathError):
    """The kernel said no: missing privilege, no such address on this host, no memory."""


class NotFoundError(UsageError, KeyError):
    """There is nothing of that name."""

    __str__ = Exception.__str__  # KeyError would show the line in quotes
