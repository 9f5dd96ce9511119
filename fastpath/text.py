# SPDX-License-Identifier: Apache-2.0
"""Names from the kernel, and text that others wrote.

An interface's name or alias is any bytes but NUL (and, for a name, slash, colon and white space): a container chooses
them. As text they are UTF-8, with surrogates for bytes that are not (PEP 383), so that the kernel gets the same bytes
back. Surrogates can't be printed or sent: what is shown is `printable`.
"""


def from_kernel(data: bytes) -> str:
    """Return a name or alias as text."""
    return data.decode("utf-8", "surrogateescape")


def to_kernel(text: str) -> bytes:
    """Return the bytes of a name or alias. A character that has none becomes a question mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def printable(text: str) -> str:
    r"""Return the text with escapes, such as \x1b and \u202e, for all that a terminal would obey instead of showing
    it: control characters, line ends, marks that reverse the direction of writing, bytes that are not UTF-8."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii") if number > 0x7F else f"\\x{number:02x}"


def json_printable(text: str) -> str:
    """Return JSON with JSON's escapes for what a terminal would obey. It means the same."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _json_escaped(c) for c in text)


def _json_escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
