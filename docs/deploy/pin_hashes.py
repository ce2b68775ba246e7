"""Prints `hashes.txt` from pip's report of what it would install; `make hashes` calls it."""

from __future__ import annotations

import json
import sys
from urllib.parse import unquote

HEADER = """\
# SHA-256 of every package of constraints.txt as it was tested on Linux x86-64 with CPython 3.11;
# torch's is the build for CPUs alone. Nothing else is taken with
#   pip install --require-hashes --no-deps -r docs/deploy/hashes.txt
"""


def main() -> None:
    """Reads the report from standard input (pip's "installation report", version 1)."""
    lines = []
    for one in json.load(sys.stdin)["install"]:
        # A local version is part of the file's name, not always of the metadata asked for.
        name, version = (
            one["metadata"]["name"].lower().replace("_", "-"),
            one["metadata"]["version"],
        )
        found = one["download_info"]
        file = unquote(found["url"].rpartition("/")[2])
        if version not in file:
            raise SystemExit(f"{file} is not of version {version}")
        lines.append(f"{name}=={version} --hash=sha256:{found['archive_info']['hashes']['sha256']}")
    print(HEADER + "\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
