"""Certificates and addresses of others; what invitations refuse of them: `test_invitation`."""

from __future__ import annotations

import base64
import contextlib
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.chain.endpoints import authorities, check_rpc_url, check_store, check_superlink
from ddcai.cli.certificates import own_certificates
from ddcai.errors import ConfigurationError


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a certificate of it."""
    folder = tmp_path_factory.mktemp("tls")
    own_certificates(folder)
    return folder


def test_only_certificates_of_authorities_are_taken(tls: Path) -> None:
    authority = (tls / "ca.pem").read_text()
    assert authorities(f"junk\n{authority}junk") == authority
    assert authorities(authority * 8) == authority * 8
    servers = (tls / "superlink.pem").read_text()
    for pem in (
        "",
        "junk",
        authority.replace("M", "N", 3),
        servers,
        authority + servers,
        (tls / "ca-key.pem").read_text(),
        authority * 9,
    ):
        with pytest.raises(ConfigurationError, match=r"^ca_certificate"):
            authorities(pem)


@settings(max_examples=200, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_an_altered_certificate_is_read_or_refused(tls: Path, edits: list[tuple[int, int]]) -> None:
    whole = x509.load_pem_x509_certificate((tls / "ca.pem").read_bytes())
    der = bytearray(whole.public_bytes(Encoding.DER))
    for place, value in edits:
        der[place % len(der)] = value
    body = base64.encodebytes(bytes(der)).decode()
    with contextlib.suppress(ConfigurationError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are negative
        authorities(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")


@given(st.text() | st.from_regex(r"[a-z]+://.{0,9}/.*"))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for check in (check_rpc_url, check_store, check_superlink):
        with contextlib.suppress(ConfigurationError):
            check(text)


def test_addresses_that_machines_share_are_taken() -> None:
    for url in ("http://127.0.0.1:8545", "https://rpc.example.org/v1/abc", "http://[::1]:1/"):
        check_rpc_url(url)
    for store in ("/mnt/blobs", "s3://bucket/a/b", "abfs://box@account.example/x", "sftp://me@h/x"):
        check_store(store)
    for address in ("localhost:1", "10.0.0.5:65535", "[2001:db8::1]:9191", "fl.example.org:9191"):
        check_superlink(address)
