"""Addresses and certificates that another party gives, before anything here uses them.

Of a chain's endpoint, a blob store and a SuperLink: no other kind of file system than machines
share, no way out of a folder, no option of a command in a host's place, and no password, since
they are written down and passed on.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ddcai.chain.node.connection import masked
from ddcai.errors import ConfigurationError
from ddcai.strict_toml import shown

# File systems that several machines can share; others read this machine's files, or chain more.
STORES = (
    "abfs", "abfss", "adl", "az", "gcs", "gs", "hdfs", "http", "https", "s3", "s3a", "sftp", "smb",
    "ssh", "webhdfs",
)  # fmt: skip
MOST_CERTIFICATES = 8
_PLAIN = re.compile(r"[!-~]{1,1024}")  # ASCII that shows
_HOST_AND_PORT = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})"
)
_NO_CERTIFICATES = (
    ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def check_rpc_url(url: str) -> None:
    """Raises ConfigurationError unless this is an http or https URL without name and password."""
    if not _is_url(url, ("http", "https")) or "@" in url:
        raise ConfigurationError(
            f"rpc_url is {shown(masked(url))}: give http or https, and no password"
        )


def check_store(url: str) -> None:
    """Raises ConfigurationError unless this is an absolute path or a URL of one of `STORES`.

    The path or URL has no ``..``, chains no other one, and has no password.
    """
    if url.startswith("/"):
        plain = url.isprintable() and len(url) <= 1024
        good = plain and ".." not in url.split("/")
    else:
        good = _is_url(url, STORES)
    if not good or "::" in url:  # by which fsspec chains another
        raise ConfigurationError(
            f"store is {shown(masked(url))}: give an absolute path, or a URL of "
            f"{', '.join(STORES)}, and no password"
        )


def check_superlink(address: str) -> None:
    """Raises ConfigurationError unless this is HOST:PORT of a name or an address."""
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found.group(1)) < 65536:
        raise ConfigurationError(f"superlink is {shown(address)}: give HOST:PORT")


def authorities(pem: str) -> str:
    """The same certificates, and nothing else, in one PEM form.

    Raises:
        ConfigurationError: none, more than `MOST_CERTIFICATES`, or one that is no authority's.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        basics = [one.extensions.get_extension_for_class(x509.BasicConstraints) for one in found]
    except _NO_CERTIFICATES as error:
        raise ConfigurationError(
            f"ca_certificate: no certificates of an authority, in PEM: {error}"
        ) from error
    if not all(one.value.ca for one in basics):
        raise ConfigurationError("ca_certificate is no authority's: give ca.pem")
    if len(found) > MOST_CERTIFICATES:
        raise ConfigurationError(
            f"ca_certificate has {len(found)} certificates: give at most {MOST_CERTIFICATES}"
        )
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    """Of one of these schemes, with a host, without a password, and with no way out of a folder."""
    if _PLAIN.fullmatch(url) is None or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        named = parts.hostname is not None and parts.password is None and parts.port != 0
    except ValueError:
        return False
    return named and parts.scheme in schemes and ".." not in parts.path.split("/")
