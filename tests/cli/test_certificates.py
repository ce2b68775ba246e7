"""A coordinator's certificate: made once, renewed under the same authority, checked by clients."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from ddcai.cli import certificates
from ddcai.cli.certificates import check_authority, check_server, own_certificates
from ddcai.errors import ConfigurationError
from tests.cli.conftest import Ddcai


def test_clients_keep_their_file_when_the_certificate_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own_certificates(tmp_path / "tls")
    assert first.names == ("127.0.0.1", "localhost")
    authority, certificate = first.authority.read_bytes(), first.certificate.read_bytes()
    for name in ("ca-key.pem", "superlink-key.pem"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600
    assert own_certificates(tmp_path / "tls", ["localhost"]) == first
    assert first.certificate.read_bytes() == certificate

    wider = own_certificates(tmp_path / "tls", ["fl.example.org", "10.0.0.5"])
    assert wider.names == ("10.0.0.5", "127.0.0.1", "fl.example.org", "localhost")
    # Started again without them, it keeps them.
    assert own_certificates(tmp_path / "tls").names == wider.names
    monkeypatch.setattr(certificates, "_RENEW_DAYS", 1000)
    renewed = own_certificates(tmp_path / "tls")
    assert renewed.names == wider.names
    assert len({certificate, renewed.certificate.read_bytes()}) == 2
    assert first.authority.read_bytes() == authority
    issuer = x509.load_pem_x509_certificate(authority)
    x509.load_pem_x509_certificate(renewed.certificate.read_bytes()).verify_directly_issued_by(
        issuer
    )


@pytest.mark.parametrize("name", ["superlink.pem", "ca.pem", "ca-key.pem"])
def test_damaged_files_are_refused_and_kept(tmp_path: Path, name: str) -> None:
    own_certificates(tmp_path)
    (tmp_path / name).write_text("damaged")
    with pytest.raises(ConfigurationError, match="move its folder away"):
        own_certificates(tmp_path, ["fl.example.org"])
    assert (tmp_path / name).read_text() == "damaged"


def test_a_host_is_a_name_in_ascii(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="host"):
        own_certificates(tmp_path / "tls", ["bücher.example"])
    assert not (tmp_path / "tls").exists()


def test_a_ca_certificate_is_there_and_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="--ca-certificate"):
        check_authority(tmp_path / "ca.pem")
    check_authority(own_certificates(tmp_path).authority)
    monkeypatch.setattr(certificates, "_AUTHORITY_DAYS", 0)
    with pytest.raises(ConfigurationError, match="has ended"):
        check_authority(own_certificates(tmp_path / "old").authority)


def test_a_client_checks_the_server_that_answers(tmp_path: Path) -> None:
    made = own_certificates(tmp_path / "tls")
    other = own_certificates(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                context.wrap_socket(listening.accept()[0], server_side=True).close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        assert check_server("127.0.0.1", port, made.authority)
        assert check_server("localhost", port, made.authority)
        with pytest.raises(ConfigurationError, match="from the coordinator itself"):
            check_server("127.0.0.1", port, other.authority)
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not check_server("127.0.0.1", port, made.authority)


def test_the_command_makes_them_before_the_coordinator_runs(ddcai: Ddcai, tmp_path: Path) -> None:
    answer = ddcai("keys", "tls", "--host", "fl.example.org", "--format", "json")
    assert answer.code == 0, answer.stderr
    assert answer.json["ca_certificate"] == "ddcai-tls/ca.pem"
    assert "fl.example.org" in answer.json["hosts"]
    check_authority(tmp_path / "ddcai-tls" / "ca.pem")
    secret = (tmp_path / "ddcai-tls" / "ca-key.pem").read_text().splitlines()[1]
    assert secret not in answer.stdout + answer.stderr
