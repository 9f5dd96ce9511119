# SPDX-License-Identifier: Apache-2.0
"""Names from the kernel and text of others, as they are shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.text import from_kernel, json_printable, printable, to_kernel

ANY = st.text(st.characters())  # with surrogates


@given(st.binary(max_size=40))
def test_the_kernel_gets_its_bytes_back(name: bytes) -> None:
    assert to_kernel(from_kernel(name)) == name


@given(ANY)
def test_what_is_shown_can_be_printed_and_sent(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
    assert to_kernel(text) is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café 日本 ←", "café 日本 ←"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f"),
        ("\x9b31m", "\\x9b31m"),  # C1: some terminals take it for ESC [
        ("\u202egnp.exe", "\\u202egnp.exe"),
        (from_kernel(b"eth\xff"), "eth\\xff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY)
def test_json_means_the_same(text: str) -> None:
    shown = json_printable(json.dumps({"name": text}, ensure_ascii=False))
    assert shown.isprintable()
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert json.loads(shown) == {"name": text}
