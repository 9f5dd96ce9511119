# SPDX-License-Identifier: Apache-2.0
"""The files for etcd's TLS, renewed, half written and expired."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fastpath.control.store.etcd.credentials import LOOK_SECONDS, Credentials
from fastpath.control.store.etcd.validity import ends
from fastpath.control.store.interface import StoreOptions
from fastpath.errors import UsageError
from tests.support.servers.certificates import Certificates


class Files:
    """Files in a folder, and what looks at them whenever it is asked."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = Certificates(folder / "first"), Certificates(folder / "second")
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        self.time, self.now = 0.0, datetime.now(UTC)
        self.use(self.first)
        options = StoreOptions(ca=self.ca, cert=self.cert, key=self.key)
        self.credentials = Credentials(options, clock=lambda: self.time, now=lambda: self.now)

    def use(self, which: Certificates) -> None:
        for target, source in ((self.ca, which.ca), (self.cert, which.client_cert), (self.key, which.client_key)):
            shutil.copy(source, target)

    def look(self) -> Credentials:
        self.time += LOOK_SECONDS
        self.credentials.look()
        return self.credentials


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_files_that_did_not_change_are_not_read_again(files: Files) -> None:
    before = files.credentials.current
    assert files.look().current is before
    files.use(files.first)  # written again, the same
    assert files.look().current is before
    assert files.credentials.problem is None


def test_renewed_files_are_used(files: Files) -> None:
    before = files.credentials.current
    files.use(files.second)
    assert files.look().current is not before
    assert files.credentials.problem is None


def test_a_certificate_without_its_key_changes_nothing_until_the_key_is_there(files: Files) -> None:
    before = files.credentials.current
    shutil.copy(files.second.client_cert, files.cert)
    assert files.look().current is before
    assert "cert.pem and" in (files.credentials.problem or "")
    shutil.copy(files.second.client_key, files.key)
    assert files.look().current is not before
    assert files.credentials.problem is None


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize("how", ["empty", "half", "gone"])
def test_a_file_that_is_half_written_changes_nothing(files: Files, name: str, how: str) -> None:
    before, file = files.credentials.current, getattr(files, name)
    whole = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[: len(whole) // 2] if how == "half" else b"")
    assert files.look().current is before
    assert str(file) in (files.credentials.problem or "")
    assert "\n" not in (files.credentials.problem or "")
    file.write_bytes(whole)
    assert files.look().current is before
    assert files.credentials.problem is None


def test_an_expired_certificate_is_told_with_its_file_and_date(files: Files) -> None:
    (end,) = ends(files.cert.read_text())
    assert files.now + timedelta(days=29) < end < files.now + timedelta(days=31)
    files.now = end + timedelta(seconds=1)
    assert (
        files.credentials.problem == f"the certificate in {files.ca} was valid until {end:%Y-%m-%d %H:%M} UTC: renew it"
    )
    files.now = end - timedelta(seconds=10)
    assert files.credentials.problem is None


def test_a_chain_has_an_end_for_each_certificate(files: Files) -> None:
    chain = files.cert.read_text() + files.ca.read_text()
    assert len(ends(chain)) == 2
    with pytest.raises(ValueError, match="does not end"):
        ends(chain[: len(chain) // 2 + len(chain) // 4])


def test_dates_beyond_2049_are_understood(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "long", days=20000)
    assert ends(certificates.ca.read_text())[0].year > 2049  # written as GeneralizedTime


def test_wrong_files_at_the_start_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such"):
        Credentials(StoreOptions(ca=tmp_path / "no-such"))
