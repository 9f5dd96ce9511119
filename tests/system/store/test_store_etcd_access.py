# SPDX-License-Identifier: Apache-2.0
"""The etcd store and who may use it: TLS, client certificates, passwords, tokens that run out, permissions."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.store.interface import StoreOptions, UnavailableError
from fastpath.control.store.open import open_store
from fastpath.errors import FastpathError, UsageError
from tests.support.control.store_checks import LONG, ROOT, eventually, put, take, watching
from tests.support.servers.certificates import Certificates
from tests.support.servers.etcd_server import Etcd, impatient

PREFIX = "/fastpath/v1/"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "good")


@pytest.fixture
def secure(tmp_path: Path, certificates: Certificates) -> Iterator[Etcd]:
    with Etcd(tmp_path, tls=certificates) as etcd:
        yield etcd


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Etcd]:
    """Tokens run out after two seconds of not being used."""
    with Etcd(tmp_path, arguments=["--auth-token-ttl=2"]) as etcd:
        yield etcd


def use(url: str, options: StoreOptions) -> None:
    """A put, and a watch that sees it."""

    async def scenario() -> None:
        store = open_store(url, options)
        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision - 1) as watch:
                assert [event.revision for event in await take(watch, 1)] == [revision]
        finally:
            await store.close()

    asyncio.run(scenario())


def refusal(url: str, options: StoreOptions, kind: type[FastpathError] = UsageError) -> str:
    """What is said, by all that can be done."""

    async def scenario() -> str:
        store = open_store(url, options)
        try:
            async with asyncio.timeout(LONG):
                said = "does not answer"
                while "does not answer" in said:  # which is all that is known until TLS was tried, not long enough here
                    with pytest.raises(kind) as got:
                        await store.get(ROOT + "a")
                    said = str(got.value)
                    assert store.problem == said
                with pytest.raises(kind):
                    await put(store, ROOT + "a", b"")
                if kind is UsageError:
                    async with watching(store, ROOT, 1) as watch:
                        with pytest.raises(kind):
                            await anext(watch)
        finally:
            await store.close()
        assert "\n" not in said
        return said

    with impatient() if kind is UnavailableError else contextlib.nullcontext():
        return asyncio.run(scenario())


def with_tls(certificates: Certificates) -> StoreOptions:
    return StoreOptions(ca=certificates.ca, cert=certificates.client_cert, key=certificates.client_key)


def test_tls_with_a_client_certificate(secure: Etcd, certificates: Certificates) -> None:
    use(secure.url, with_tls(certificates))
    use(f"etcd://localhost:{secure.place.client_port}", with_tls(certificates))


def test_renewed_files_are_used_at_the_next_connection(tmp_path: Path, certificates: Certificates) -> None:
    """etcd, too, gets other certificates, and trusts no old ones. What is half renewed meanwhile changes nothing."""
    renewed = Certificates(tmp_path / "renewed")
    names = ("ca", "client_cert", "client_key")

    def copy(source: Certificates, *which: str) -> None:
        for name in which:
            (tmp_path / "new").write_bytes(getattr(source, name).read_bytes())
            (tmp_path / "new").rename(tmp_path / name)

    async def scenario(etcd: Etcd) -> None:
        ca, cert, key = (tmp_path / name for name in names)
        store = open_store(etcd.url, StoreOptions(ca=ca, cert=cert, key=key))

        async def told() -> bool:
            return "client_key are not a certificate and its key" in (store.warning or "")

        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 2))
                copy(renewed, "client_cert")
                await eventually(told)
                await put(store, ROOT + "b", b"")
                copy(renewed, "client_key", "ca")
                etcd.kill()
                etcd.tls = renewed
                etcd.start()
                async with asyncio.timeout(LONG):
                    while True:
                        with contextlib.suppress(FastpathError):
                            await put(store, ROOT + "c", b"")
                            break
                    assert len(await waiting) == 2
            assert store.warning is None
        finally:
            await store.close()

    copy(certificates, *names)
    with Etcd(tmp_path, tls=certificates) as etcd:
        asyncio.run(scenario(etcd))


def test_a_server_of_another_ca_is_refused(secure: Etcd, certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    options = StoreOptions(ca=other.ca, cert=certificates.client_cert, key=certificates.client_key)
    assert "certificate" in refusal(secure.url, options)


def test_a_server_of_another_name_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    with Etcd(tmp_path, tls=certificates) as etcd:
        etcd.stop()
        good = certificates.server_cert, certificates.server_key
        certificates.server_cert, certificates.server_key = certificates.issue("elsewhere", "DNS:elsewhere.example")
        try:
            etcd.launch()
            etcd.wait_for_port()
            assert "certificate" in refusal(etcd.url, with_tls(certificates))
        finally:
            certificates.server_cert, certificates.server_key = good


def test_no_certificate_or_another_cas_is_refused(secure: Etcd, certificates: Certificates, tmp_path: Path) -> None:
    assert "client certificate" in refusal(secure.url, StoreOptions(ca=certificates.ca), UnavailableError)
    other = Certificates(tmp_path / "other")
    options = StoreOptions(ca=certificates.ca, cert=other.client_cert, key=other.client_key)
    assert "client certificate" in refusal(secure.url, options, UnavailableError)


def test_without_tls_where_it_is_needed_and_the_other_way_round(
    secure: Etcd, certificates: Certificates, tmp_path: Path
) -> None:
    assert "does it want TLS?" in refusal(secure.url, StoreOptions(), UnavailableError)
    (tmp_path / "plain").mkdir()
    with Etcd(tmp_path / "plain") as plain:
        assert "does not speak TLS" in refusal(plain.url, with_tls(certificates), UnavailableError)


def test_a_user_with_a_password(guarded: Etcd, tmp_path: Path) -> None:
    guarded.enable_auth("fast", "secret", PREFIX)
    use(guarded.url, StoreOptions(user="fast", password="secret"))
    file = tmp_path / "password"
    file.write_text("secret\n")
    use(guarded.url, StoreOptions(user="fast", password_file=file))


def test_a_password_is_not_asked_for_where_etcd_has_none(guarded: Etcd) -> None:
    use(guarded.url, StoreOptions(user="fast", password="secret"))


def test_who_is_refused_is_told_why(guarded: Etcd) -> None:
    guarded.enable_auth("fast", "secret", "/other/")
    assert 'password of user "fast"' in refusal(guarded.url, StoreOptions(user="fast", password="wrong"))
    assert "wants a user" in refusal(guarded.url, StoreOptions())
    told = asyncio.run(_denied(guarded.url))
    assert all('does not permit user "fast"' in each for each in told)


async def _denied(url: str) -> list[str]:
    store = open_store(url, StoreOptions(user="fast", password="secret"))
    try:
        async with asyncio.timeout(LONG):
            told = []
            for question in (store.get(ROOT), store.list(ROOT), put(store, ROOT + "a", b"")):
                with pytest.raises(UsageError) as got:
                    await question
                told.append(str(got.value))
            async with watching(store, ROOT, 1) as watch:
                with pytest.raises(UsageError) as got:
                    await anext(watch)
            return [*told, str(got.value)]
    finally:
        await store.close()


def test_a_watch_of_more_than_is_permitted_is_refused(guarded: Etcd) -> None:
    """A single key of the prefix can be read, so only the watch itself can tell."""
    guarded.enable_auth("fast", "secret", ROOT)

    async def scenario() -> None:
        store = open_store(guarded.url, StoreOptions(user="fast", password="secret"))
        try:
            async with asyncio.timeout(LONG), watching(store, ROOT[:-3], 1) as watch:
                with pytest.raises(UsageError, match="does not permit"):
                    await anext(watch)
            async with asyncio.timeout(LONG), watching(store, ROOT[:-1], 1) as watch:
                with pytest.raises(UsageError, match="does not permit"):
                    await anext(watch)
        finally:
            await store.close()

    asyncio.run(scenario())


def test_tokens_that_run_out_are_renewed(guarded: Etcd) -> None:
    root = guarded.enable_auth("fast", "secret", PREFIX)

    async def scenario() -> None:
        store = open_store(guarded.url, StoreOptions(user="fast", password="secret"))
        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 3))
                for number in range(2):
                    await asyncio.sleep(4)  # longer than a token lasts
                    await put(store, f"{ROOT}{number}", b"")
                guarded.kill()
                guarded.start()  # it knows no tokens now
                guarded.put(ROOT + "c", b"", guarded.token("root", "root"))
                assert len(await waiting) == 3
            await asyncio.sleep(4)
            # The first thing after that is a watch, and then a lease's.
            async with watching(store, ROOT, revision) as watch:
                assert len(await take(watch, 3)) == 3
            await asyncio.sleep(4)
            assert await store.keep_alive(await store.grant(60))
        finally:
            await store.close()

    assert root
    asyncio.run(scenario())


def test_a_change_of_users_does_not_disturb(guarded: Etcd) -> None:
    guarded.enable_auth("fast", "secret", PREFIX)

    async def scenario() -> None:
        store = open_store(guarded.url, StoreOptions(user="fast", password="secret"))
        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 1))
                root = guarded.token("root", "root")
                # A token names the state of the users when it was made.
                guarded.ask("/v3/auth/user/add", {"name": "another", "password": "x"}, root)
                await put(store, ROOT + "b", b"")
                assert len(await waiting) == 1
        finally:
            await store.close()

    asyncio.run(scenario())


def test_a_watch_waits_for_a_right_that_was_taken_away(guarded: Etcd) -> None:
    guarded.enable_auth("fast", "secret", PREFIX)

    def root() -> str:
        return guarded.token("root", "root")

    async def scenario() -> None:
        store = open_store(guarded.url, StoreOptions(user="fast", password="secret"))

        async def refused() -> bool:
            return "does not permit" in (store.problem or "")

        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 1))
                await asyncio.sleep(0.2)
                guarded.permit("fast", PREFIX, root(), allowed=False)
                guarded.kill()  # etcd asks for rights when a watch begins only
                guarded.start()
                await eventually(refused)
                guarded.permit("fast", PREFIX, root())
                guarded.put(ROOT + "b", b"", root())
                assert [event.key for event in await waiting] == [ROOT + "b"]
        finally:
            await store.close()

    asyncio.run(scenario())


def test_wrong_options_are_refused_at_once(certificates: Certificates, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("text")
    cert, key = certificates.client_cert, certificates.client_key
    for options in (
        StoreOptions(cert=cert, key=key),
        StoreOptions(ca=tmp_path / "none"),
        StoreOptions(ca=text),
        StoreOptions(ca=certificates.ca, cert=cert),
        StoreOptions(ca=certificates.ca, cert=cert, key=certificates.server_key),
        StoreOptions(ca=certificates.ca, cert=text, key=text),
        StoreOptions(user="fast"),
        StoreOptions(password="secret"),
        StoreOptions(user="fast", password="secret", password_file=text),
        StoreOptions(user="fast", password_file=tmp_path / "none"),
    ):
        with pytest.raises(UsageError) as got:
            open_store("etcd://127.0.0.1", options)
        assert "\n" not in str(got.value)
