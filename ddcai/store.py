"""Files over fsspec: a folder, S3, or any file system that fsspec knows.

Nothing in them is trusted. A blob's address is the digest that the chain holds for it
(`ddcai.digests`): 32 bytes, the name of a file in lower-case hex; whoever reads a blob computes
its digest, which needs the round and the contributor, and compares.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ddcai.digests import DIGEST_BYTES
from ddcai.errors import BlobMissing, StoreError
from ddcai.keyfile import write_atomically

# Whoever may read the folder may read what is in it: nothing there is secret.
_MODE = 0o644
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class Files:
    """Files by name, under one URL.

    Args:
        url: a path, or an fsspec URL such as ``s3://bucket/prefix``. Created when missing.
        max_bytes: larger files are neither read nor written; bounds a reader's memory.
        what: what they are, for messages.
    """

    def __init__(self, url: str, *, max_bytes: int = 2**30, what: str = "folder") -> None:
        self.url = url
        self._max_bytes, self._what = max_bytes, what
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, auto_mkdir=True)
            self._files.makedirs(self._root, exist_ok=True)
        except Exception as error:  # backends raise their own kinds
            raise StoreError(f"cannot open the {what} {url}: {error}") from error

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all; one of the same name is replaced.

        On this machine's disk: a loss of power leaves the old content or the new.

        Raises:
            StoreError: it cannot be written, or is larger than ``max_bytes``.
        """
        if len(content) > self._max_bytes:
            raise StoreError(f"{name} has {len(content)} bytes: at most {self._max_bytes} fit")
        path = self._path(name)
        try:
            if isinstance(self._files, LocalFileSystem):
                write_atomically(path, content, _MODE, place="blob")
            else:
                self._write_elsewhere(path, content)
        except Exception as error:  # backends raise their own kinds
            raise StoreError(f"cannot write {name} to {self.url}: {error}") from error

    def _write_elsewhere(self, path: str, content: bytes) -> None:
        temporary = f"{path}.{secrets.token_hex(8)}.part"
        try:
            self._files.pipe_file(temporary, content)
            self._files.mv(temporary, path)
        except Exception:
            with contextlib.suppress(Exception):
                self._files.rm_file(temporary)
            raise

    def read(self, name: str, first_bytes: int | None = None) -> bytes:
        """A file's bytes, or the first of them.

        Raises:
            BlobMissing: there is none.
            StoreError: it cannot be read, or is larger than ``max_bytes``.
        """
        path = self._path(name)
        try:
            size = self._files.size(path)
            if size is not None and size > self._max_bytes:
                raise StoreError(f"{name} has {size} bytes: at most {self._max_bytes} are read")
            content: Any = self._files.cat_file(path, start=0, end=first_bytes)
        except FileNotFoundError as error:
            raise BlobMissing(f"the {self._what} {self.url} does not hold {name}") from error
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"cannot read {name} from {self.url}: {error}") from error
        return bytes(content)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        try:
            return bool(self._files.exists(self._path(name)))
        except Exception as error:
            raise StoreError(f"cannot look up {name} in {self.url}: {error}") from error

    def _path(self, name: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise StoreError(f"{name[:80]!r} is no file name that is used here")
        return f"{self._root}/{name}"


def is_there(url: str) -> bool:
    """Whether a folder is there; opening one as `Files` would make it."""
    try:
        files, root = fsspec.core.url_to_fs(url)
        return bool(files.isdir(root))
    except Exception as error:  # backends raise their own kinds
        raise StoreError(f"cannot open {url}: {error}") from error


def local_path(url: str) -> Path | None:
    """The path of a folder on this machine; None where the URL is of another file system."""
    files, root = fsspec.core.url_to_fs(url)
    return Path(root) if isinstance(files, LocalFileSystem) else None


class Store:
    """Blobs by digest, under one URL; args as `Files`."""

    def __init__(self, url: str, *, max_blob_bytes: int = 2**30) -> None:
        self.url = url
        self._files = Files(url, max_bytes=max_blob_bytes, what="blob store")

    def put(self, digest: bytes, blob: bytes) -> None:
        """Writes a blob under its digest, whole or not at all; writing it again is harmless."""
        self._files.write(_name(digest), blob)

    def get(self, digest: bytes, first_bytes: int | None = None) -> bytes:
        """The bytes stored under a digest; the caller verifies them.

        Args:
            digest: 32 bytes.
            first_bytes: read only so many, if given; these cannot be verified.

        Raises:
            BlobMissing: if there are none.
            StoreError: if they cannot be read, or are larger than ``max_blob_bytes``.
        """
        return self._files.read(_name(digest), first_bytes)

    def has(self, digest: bytes) -> bool:
        """Whether something is stored under a digest."""
        return self._files.has(_name(digest))


def _name(digest: bytes) -> str:
    if len(digest) != DIGEST_BYTES:
        raise StoreError(f"a digest has 32 bytes, not {len(digest)}")
    return digest.hex()
