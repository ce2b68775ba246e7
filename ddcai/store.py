"""Content-addressed blobs over fsspec: a folder, S3, or any file system that fsspec knows.

A blob's address is the digest that the chain holds for it (`ddcai.digests`): 32 bytes, the
name of a file in lower-case hex. The store is not trusted: whoever reads a blob computes its
digest, which needs the round and the contributor, and compares.
"""

from __future__ import annotations

import secrets
from typing import Any

import fsspec

from ddcai.digests import DIGEST_BYTES
from ddcai.errors import BlobMissing, StoreError


class Store:
    """Blobs under one URL.

    Args:
        url: a path, or an fsspec URL such as ``s3://bucket/prefix``. Created when missing.
        max_blob_bytes: larger blobs are neither read nor written; bounds a reader's memory.
    """

    def __init__(self, url: str, *, max_blob_bytes: int = 2**30) -> None:
        self.url = url
        self._max_blob_bytes = max_blob_bytes
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, auto_mkdir=True)
            self._files.makedirs(self._root, exist_ok=True)
        except Exception as error:  # backends raise their own kinds
            raise StoreError(f"cannot open the blob store {url}: {error}") from error

    def put(self, digest: bytes, blob: bytes) -> None:
        """Writes a blob under its digest, whole or not at all; writing it again is harmless."""
        if len(blob) > self._max_blob_bytes:
            raise StoreError(f"a blob of {len(blob)} bytes: at most {self._max_blob_bytes} fit")
        path = self._path(digest)
        temporary = f"{path}.{secrets.token_hex(8)}.part"
        try:
            self._files.pipe_file(temporary, blob)
            self._files.mv(temporary, path)
        except Exception as error:
            raise StoreError(f"cannot write {digest.hex()} to {self.url}: {error}") from error

    def get(self, digest: bytes, first_bytes: int | None = None) -> bytes:
        """The bytes stored under a digest; the caller verifies them.

        Args:
            digest: 32 bytes.
            first_bytes: read only so many, if given; these cannot be verified.

        Raises:
            BlobMissing: if there are none.
            StoreError: if they cannot be read, or are larger than ``max_blob_bytes``.
        """
        path = self._path(digest)
        try:
            size = self._files.size(path)
            if size is not None and size > self._max_blob_bytes:
                raise StoreError(
                    f"{digest.hex()} has {size} bytes: at most {self._max_blob_bytes} are read"
                )
            blob: Any = self._files.cat_file(path, start=0, end=first_bytes)
        except FileNotFoundError as error:
            raise BlobMissing(f"the blob store {self.url} does not hold {digest.hex()}") from error
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"cannot read {digest.hex()} from {self.url}: {error}") from error
        return bytes(blob)

    def has(self, digest: bytes) -> bool:
        """Whether something is stored under a digest."""
        try:
            return bool(self._files.exists(self._path(digest)))
        except Exception as error:
            raise StoreError(f"cannot look up {digest.hex()} in {self.url}: {error}") from error

    def _path(self, digest: bytes) -> str:
        if len(digest) != DIGEST_BYTES:
            raise StoreError(f"a digest has 32 bytes, not {len(digest)}")
        return f"{self._root}/{digest.hex()}"
