# SPDX-License-Identifier: Apache-2.0
"""Until when a certificate is valid: the one field that Python's `ssl` does not tell of a client's own certificate."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17  # DER's tags
_BEFORE_VALIDITY = 3  # serial number, signature algorithm and issuer come first, after an optional version


def ends(pem: str) -> list[datetime]:
    """Return the end of each certificate's validity (RFC 5280, 4.1.2.5). Raise ValueError if one cannot be read."""
    return [_not_after(ssl.PEM_cert_to_DER_cert(block)) for block in _blocks(pem)]


def _blocks(pem: str) -> Iterator[str]:
    at = 0
    while (begin := pem.find(_BEGIN, at)) >= 0:
        if (end := pem.find(_END, begin)) < 0:
            raise ValueError("a certificate that does not end")
        at = end + len(_END)
        yield pem[begin:at]


def _not_after(der: bytes) -> datetime:
    certificate = _content(der, 0)
    fields = list(_parts(_content(certificate, 0)))
    del fields[: _BEFORE_VALIDITY + (fields[0][0] == _VERSION)]
    (_, _), (tag, text) = list(_parts(fields[0][1]))[:2]
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _content(data: bytes, at: int) -> bytes:
    return next(_parts(data[at:]))[1]


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each element. Raise ValueError."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1] if at + 1 < len(data) else 0, at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count]), at + count
        if at + length > len(data):
            raise ValueError("a certificate that is cut off")
        yield tag, data[at : at + length]
        at += length
