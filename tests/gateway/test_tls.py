"""The way to the SMSC: TLS that is verified, IPv6, names with several addresses."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme

from smppgw import link
from smppgw.link import try_bind
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.witness import Witness
from tests.gateway.trial import account, configure, numbers, running, submit

_Result = TypeVar("_Result")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(ca, tmp_path_factory.mktemp("ca"))


def written(ca: trustme.CA, folder: Path) -> Path:
    path = folder / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def serving(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    """Make the context of a server that has a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def run(scenario: Coroutine[Any, Any, _Result]) -> _Result:
    async def bounded() -> _Result:
        async with asyncio.timeout(30):
            return await scenario

    return asyncio.run(bounded())


def tried(
    folder: Path, context: ssl.SSLContext | None, *, listen: str = "127.0.0.1", **keys: Any
) -> str | None:
    """Try to bind; returns why it could not be done, or None."""

    async def scenario() -> str | None:
        async with Simulator(host=listen, tls=context) as smsc:
            config = configure(folder, account(smsc.port, **keys))
            reason = await try_bind(config.smsc[0], "transceiver")
            assert (smsc.counts.binds == 1) is (reason is None)
            return reason

    return run(scenario())


@contextmanager
def alerting(context: ssl.SSLContext) -> Iterator[int]:
    """Serve handshakes as OpenSSL does, which says why it ends one; asyncio's server just ends.

    Yields:
        The port.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            plain, _ = listening.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as peer:
                peer.recv(1)

        server = threading.Thread(target=serve)
        server.start()
        yield listening.getsockname()[1]
        server.join()


def refused(folder: Path, context: ssl.SSLContext, **tls: Any) -> str | None:
    """Say what is told of a handshake that the SMSC refuses."""
    with alerting(context) as port:
        config = configure(folder, account(port, tls=tls))
        return run(try_bind(config.smsc[0], "transceiver"))


def test_messages_and_receipts_go_through_tls_1_3_that_is_verified(
    tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    async def scenario() -> None:
        witness = Witness()
        context = serving(ca, "127.0.0.1")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        behaviour = Behaviour(faults=["cut-anywhere", "glue"], seed=1)
        async with Simulator(behaviour, witness=witness, tls=context) as smsc:
            tls = {"ca_file": ca_file, "minimum": "1.3"}
            config = configure(tmp_path, account(smsc.port, tls=tls))
            job = submit(config, numbers(1000))
            async with running(config) as trial:
                await trial.until_counts(job, {"delivered": 1000})
                await trial.until_true(job, witness)
        assert max(witness.copies().values()) == 1

    run(scenario())


def test_a_certificate_of_an_unknown_authority_is_refused_and_the_log_says_so(
    tmp_path: Path, ca: trustme.CA, logs: list[MutableMapping[str, Any]]
) -> None:
    async def scenario() -> None:
        async with Simulator(tls=serving(ca, "127.0.0.1")) as smsc:
            config = configure(tmp_path, account(smsc.port, tls=True))
            async with running(config) as trial:
                state = "SELECT state, reason FROM link"
                await trial.until(
                    lambda: (trial.db.execute(state).fetchone() or [""])[0] == "backoff"
                )
            assert smsc.counts.binds == 0

    run(scenario())
    reasons = {str(entry["reason"]) for entry in logs if entry["event"] == "link.down"}
    assert reasons
    assert all("its certificate is not trusted" in reason for reason in reasons)


def test_another_authority_than_the_configured_one_is_refused(
    tmp_path: Path, ca: trustme.CA
) -> None:
    other = written(trustme.CA(), tmp_path)
    reason = tried(tmp_path, serving(ca, "127.0.0.1"), tls={"ca_file": other})
    assert reason is not None
    assert "its certificate is not trusted" in reason


def test_a_certificate_for_another_name_is_refused_and_the_name_is_told(
    tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    reason = tried(tmp_path, serving(ca, "smsc.example"), tls={"ca_file": ca_file})
    assert reason is not None
    assert "not trusted" in reason
    assert "127.0.0.1" in reason


def test_server_name_is_what_the_certificate_is_held_to_instead_of_the_host(
    tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    context = serving(ca, "smsc.example")
    tls = {"ca_file": ca_file, "server_name": "smsc.example"}
    assert tried(tmp_path, context, tls=tls) is None
    reason = tried(tmp_path, context, tls=tls | {"server_name": "other.example"})
    assert reason is not None
    assert "other.example" in reason


def test_an_operator_that_asks_for_a_certificate_is_shown_ours(
    tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    context = serving(ca, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    assert tried(tmp_path, context, tls={"ca_file": ca_file}) is not None
    told = refused(tmp_path, context, ca_file=ca_file)
    assert told == "no answer to the bind (TLS failed (TLSV13_ALERT_CERTIFICATE_REQUIRED))"
    ours = ca.issue_cert("gateway.example")
    both, certificate, key = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    ours.private_key_and_cert_chain_pem.write_to_path(both)
    ours.cert_chain_pems[0].write_to_path(certificate)
    ours.private_key_pem.write_to_path(key)
    tls = {"ca_file": ca_file, "cert_file": certificate, "key_file": key}
    assert tried(tmp_path, context, tls=tls) is None
    assert tried(tmp_path, context, tls={"ca_file": ca_file, "cert_file": both}) is None


def test_an_operator_below_the_minimum_version_is_refused(
    tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    context = serving(ca, "127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert tried(tmp_path, context, tls={"ca_file": ca_file}) is None
    tls = {"ca_file": ca_file, "minimum": "1.3"}
    silent = tried(tmp_path, context, tls=tls)
    assert silent is not None
    assert silent.endswith(": the SMSC closed the connection before TLS was agreed upon")
    told = refused(tmp_path, context, **tls)
    assert told is not None
    assert told.endswith(": TLS failed (TLSV1_ALERT_PROTOCOL_VERSION)")


def test_plain_text_where_tls_is_asked_for_is_refused(tmp_path: Path, ca_file: Path) -> None:
    reason = tried(tmp_path, None, tls={"ca_file": ca_file})
    assert reason is not None


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, ca: trustme.CA, ca_file: Path, key: str, content: str | None
) -> None:
    path = tmp_path / "wrong.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    tls: dict[str, Path] = {"ca_file": ca_file, key: path}
    reason = tried(tmp_path, serving(ca, "127.0.0.1"), tls=tls)
    assert reason is not None
    assert reason.startswith(f"tls: {path} cannot be used (")


# Addresses


def test_ipv6_with_and_without_tls(tmp_path: Path, ca: trustme.CA, ca_file: Path) -> None:
    assert tried(tmp_path, None, listen="::1", host="::1") is None
    context = serving(ca, "::1")
    assert tried(tmp_path, context, listen="::1", host="::1", tls={"ca_file": ca_file}) is None


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1"])
def test_of_a_name_with_several_addresses_whichever_answers_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    def both(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def scenario() -> str | None:
        async with Simulator(host=listen) as smsc:
            config = configure(tmp_path, account(smsc.port, host="smsc.example"))
            monkeypatch.setattr(socket, "getaddrinfo", lambda h, p, *a, **k: both(h, p))
            return await try_bind(config.smsc[0], "transceiver")

    assert run(scenario()) is None


def test_an_address_where_nobody_listens_is_told_in_plain_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = configure(tmp_path, account(port))
    reason = run(try_bind(config.smsc[0], "transceiver"))
    assert reason == f"127.0.0.1:{port}: Connection refused"


def test_a_name_that_nobody_knows_is_told_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    config = configure(tmp_path, account(2775, host="smsc.example"))
    reason = run(try_bind(config.smsc[0], "transceiver"))
    assert reason == "smsc.example:2775: the name is not known (Name or service not known)"


def test_an_address_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # one connection waits to be accepted; to more the system does not answer
        address = full.getsockname()
        with socket.create_connection(address):
            config = configure(tmp_path, account(address[1]))
            reason = run(try_bind(config.smsc[0], "transceiver"))
    assert reason == f"127.0.0.1:{address[1]} does not answer within 0.2 s"
