# SPDX-License-Identifier: Apache-2.0
"""A CA, and certificates of a server on loopback and of a client, made with openssl(1)."""

import ssl
import subprocess
from pathlib import Path


class Certificates:
    """PEM files in a folder. The server's certificate names 127.0.0.1, ::1 and localhost."""

    def __init__(self, folder: Path, client: str = "fastpath", days: int = 30):
        folder.mkdir()
        self._folder = folder
        self.ca, self._ca_key = folder / "ca.pem", folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)),
            *("-keyout", self._ca_key, "-out", self.ca, "-subj", "/CN=test CA"),
        )
        self.server_cert, self.server_key = self.issue("localhost", "DNS:localhost,IP:127.0.0.1,IP:::1")
        self.client_cert, self.client_key = self.issue(client, f"DNS:{client}")

    def issue(self, name: str, names: str) -> tuple[Path, Path]:
        """A certificate for `names`, in openssl's form, and its key."""
        cert, key, request, more = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        more.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key, "-CAcreateserial"),
            *("-days", "30", "-extfile", more, "-out", cert),
        )
        return cert, key

    def context(self) -> ssl.SSLContext:
        """For a client that is the test itself."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client_cert, self.client_key)
        return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
