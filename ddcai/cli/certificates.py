"""A coordinator's TLS certificate, of an authority of its own.

The folder holds the authority (``ca.pem``, which clients check by and get by hand, and its key) and
the SuperLink's certificate and key. The authority stays for ten years, so that clients keep their
``ca.pem`` when the certificate is made anew, for more host names or before it ends.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ddcai.errors import ConfigurationError
from ddcai.keyfile import write_atomically

LOCAL = ("127.0.0.1", "localhost")
_AUTHORITY_DAYS = 3650
_DAYS = 730
_RENEW_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """PEM files of a SuperLink's TLS.

    Attributes:
        authority: what clients check by.
        certificate, key: the SuperLink's own.
        names: host names and addresses that the certificate is for.
    """

    authority: Path
    certificate: Path
    key: Path
    names: tuple[str, ...]


def own_certificates(folder: Path, hosts: Iterable[str] = ()) -> Certificates:
    """The certificates of a folder, made where there are none.

    A new certificate, of the same authority, is made for hosts that the old one is not for, or when
    it ends within 30 days.

    Args:
        folder: takes ``ca.pem``, ``ca-key.pem``, ``superlink.pem`` and ``superlink-key.pem``; the
            keys are readable for their owner alone.
        hosts: names and addresses by which clients reach the SuperLink, beside `LOCAL`.

    Raises:
        ConfigurationError: a file of the folder is no such certificate or key, or cannot be
            written; a host is no name in ASCII.
    """
    try:
        return _own_certificates(folder, hosts)
    except OSError as error:
        raise ConfigurationError(f"cannot use the folder {folder}: {error.strerror}") from error


def _own_certificates(folder: Path, hosts: Iterable[str]) -> Certificates:
    wanted = {*hosts, *LOCAL}
    for host in wanted:
        _name(host)
    authority, authority_key = folder / "ca.pem", folder / "ca-key.pem"
    certificate, key = folder / "superlink.pem", folder / "superlink-key.pem"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not authority.exists():
        _make_authority(authority, authority_key)
    names, left_days = _served(certificate) if certificate.exists() else (set[str](), 0)
    if not (wanted <= names and left_days >= _RENEW_DAYS and key.exists()):
        names |= wanted
        issuer, issuer_key = _load(authority), _load_key(authority_key)
        own_key = ec.generate_private_key(ec.SECP256R1())
        # Broken off in between, there is no certificate, and the next start makes both anew.
        certificate.unlink(missing_ok=True)
        write_atomically(key, _pem(own_key))
        made = _sign(own_key, sorted(names), issuer, issuer_key)
        write_atomically(certificate, made.public_bytes(Encoding.PEM), mode=0o644)
    return Certificates(
        authority=authority, certificate=certificate, key=key, names=tuple(sorted(names))
    )


def check_authority(path: Path) -> None:
    """Raises ConfigurationError unless a file holds certificates to check a server by."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the CA certificate {path}: {error.strerror}: get ca.pem from the "
            "coordinator (`ddcai keys tls` makes it) and give it by --ca-certificate; for a trial, "
            "--insecure does without"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path} holds no certificate in PEM: get ca.pem from the coordinator"
        ) from error
    now = datetime.datetime.now(datetime.UTC)
    if all(one.not_valid_after_utc < now for one in found):
        raise ConfigurationError(f"{path} has ended: get a new ca.pem from the coordinator")


def check_server(host: str, port: int, authority: Path, timeout_s: float = 5.0) -> bool:
    """Whether a SuperLink answers there now and shows a certificate of this authority.

    Raises:
        ConfigurationError: it answers, and shows another, or none.
    """
    context = ssl.create_default_context(cafile=str(authority))
    name = host.strip("[]")
    try:
        with (
            socket.create_connection((name, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return True
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "no TLS"
        raise ConfigurationError(
            f"the SuperLink at {host}:{port} does not show a certificate for {host!r} that "
            f"{authority} vouches for ({why}): get ca.pem from the coordinator itself, and let it "
            f"name this host by --tls-host. If it runs by --insecure, so must its clients"
        ) from error
    except OSError:
        return False


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is no certificate: move its folder away, and new ones are made"
        ) from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no private key: move its folder away, and a new one is made"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{path} is a key of another kind: move its folder away")
    return key


def _served(path: Path) -> tuple[set[str], int]:
    """Which hosts a certificate is for, and for how many days."""
    certificate = _load(path)
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set(), 0
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return {str(one.value) for one in listed}, left.days


def _make_authority(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ddcai coordinator's authority")])
    made = (
        _builder(name, name, key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_atomically(key_path, _pem(key))
    write_atomically(path, made.public_bytes(Encoding.PEM), mode=0o644)


def _sign(
    key: ec.EllipticCurvePrivateKey,
    names: list[str],
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ddcai SuperLink")])
    return (
        _builder(subject, issuer.subject, key.public_key(), _DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise ConfigurationError(f"host name is {text!r}: give a name in ASCII") from error
