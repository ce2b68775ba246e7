"""The checks of ``ddcai doctor`` that need no chain: libraries, SuperLink, data, disk."""

from __future__ import annotations

import http.client
import os
import platform
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ddcai.errors import ConfigurationError, DdcaiError

if TYPE_CHECKING:
    from ddcai.configuration import FederationConfig

Status = Literal["ok", "warn", "fail"]

# For what every party keeps beside updates: a few small files a round.
SMALL_FILES_BYTES = 2**20
# Flower refuses a node whose clock is so much ahead of the SuperLink's, or behind it
# (flwr.common.constant: SYSTEM_TIME_TOLERANCE; TIMESTAMP_TOLERANCE and the same again).
_AHEAD_S, _BEHIND_S = 5, 305
_PINNED = ("flwr", "torch", "tenseal", "web3")
_TIMEOUT_S = 5.0
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one check found.

    Attributes:
        remedy: what to do; empty where all is well.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""


class Doubt(Exception):
    """A warning.

    Attributes:
        found: what was found, or why nothing was.
        remedy: what to do.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found, self.remedy = found, remedy


def line(name: str, check: Callable[[], str], remedy: str) -> Line:
    """The line of one check, which returns what is well, or raises a Doubt or an error.

    Args:
        remedy: of an error, whose message may have a closer one.
    """
    try:
        return Line(check=name, status="ok", found=check())
    except Doubt as doubt:
        return Line(check=name, status="warn", found=doubt.found, remedy=doubt.remedy)
    except (DdcaiError, OSError) as error:
        return Line(check=name, status="fail", found=" ".join(str(error).split()), remedy=remedy)


def given(value: str, option: str) -> str:
    """The value of an option; raises Doubt where it is not given."""
    if not value:
        raise Doubt("not checked", f"give {option}")
    return value


def versions() -> Iterator[Line]:
    """Python and the pinned libraries, against what the installed ddcai asks for."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    asked = {"python": SpecifierSet(metadata.metadata("ddcai")["Requires-Python"])}
    for text in metadata.requires("ddcai") or ():
        one = Requirement(text)
        if one.name in _PINNED and one.marker is None:
            asked[one.name] = one.specifier

    def check(name: str) -> str:
        try:
            found = platform.python_version() if name == "python" else metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise ConfigurationError(f"not installed; ddcai takes {asked[name]}") from error
        if not asked[name].contains(found, prereleases=True):
            raise ConfigurationError(f"{found} is here; ddcai takes {asked[name]}")
        return f"{found}; ddcai takes {asked[name]}"

    for name in ("python", *_PINNED):
        remedy = f"install {name} {asked[name]}: pip install -c constraints.txt, for libraries"
        yield line(name, lambda name=name: check(name), remedy)  # type: ignore[misc]


def superlink(address: str, ca_certificate: str, insecure: bool) -> str:
    """Whether a SuperLink answers, and shows a certificate of the authority."""
    from ddcai.cli.certificates import check_authority, check_server
    from ddcai.cli.processes import answers, split_address

    host, port = split_address(given(address, "--superlink"))
    if insecure:
        if not answers(host, port):
            raise ConfigurationError(f"nobody answers at {address}")
        raise Doubt(f"{address} answers; by --insecure nothing shows who", "for trials only")
    authority = Path(given(ca_certificate, "--ca-certificate"))
    check_authority(authority)
    if not check_server(host, port, authority):
        raise ConfigurationError(f"nobody answers at {address}: is the coordinator running?")
    return f"{address} answers, by a certificate of {authority}"


def superlink_clock(address: str, ca_certificate: str, insecure: bool) -> str:
    """This clock against the Date header of a SuperLink, or of the proxy before it.

    Flower's own SuperLink speaks gRPC, and sends none.
    """
    from ddcai.cli.processes import split_address

    host, port = split_address(given(address, "--superlink"))
    if insecure:
        raise Doubt("not checked: --insecure", "for trials only")
    shown = _date(host.strip("[]"), port, given(ca_certificate, "--ca-certificate"))
    try:
        its = None if shown is None else parsedate_to_datetime(shown).timestamp()
    except (ValueError, TypeError, OverflowError):
        its = None
    if its is None:
        raise Doubt("not checked: no Date header from there", "compare `date -u` on both machines")
    ahead_s = round(time.time() - its)
    if not -_BEHIND_S <= ahead_s <= _AHEAD_S:
        where = f"{ahead_s} s ahead of" if ahead_s > 0 else f"{-ahead_s} s behind"
        raise ConfigurationError(f"this clock is {where} the SuperLink's, which refuses such nodes")
    return f"{abs(ahead_s)} s apart"


def _date(host: str, port: int, ca_certificate: str) -> str | None:
    try:
        context = ssl.create_default_context(cafile=ca_certificate)
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        try:
            connection.request("HEAD", "/")
            return connection.getresponse().getheader("Date")
        finally:
            connection.close()
    except (http.client.HTTPException, OSError):
        return None


def examples(path: str, config: FederationConfig, label: str | None) -> str:
    """A site's file, read as training will read it.

    Raises:
        DataError: as `ddcai.data.loading.load`.
        Doubt: it can be used, and some values are beyond the configuration's ranges.
    """
    import numpy as np

    from ddcai.data.loading import beyond_ranges, load

    x, labels = load(path, config, label=label)
    names = config.task.classes
    counts = np.bincount(labels, minlength=len(names))
    shown = ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True))
    said = f"{path}: {len(x)} examples: {shown}"
    beyond = beyond_ranges(path, config)
    if beyond:
        columns = ", ".join(f"{rows} of {name!r}" for name, rows in beyond.items())
        raise Doubt(
            f"{said}; beyond the federation's ranges: {columns}",
            "correct units and spelling: training clips such numbers, and takes other texts for "
            "missing",
        )
    return said


def update_bytes(config: FederationConfig, holders: tuple[int, int] | None) -> int:
    """Bytes of one update.

    Args:
        holders: (N, T) of a shared key; None for a single key holder.
    """
    from ddcai.encryption.planner import plan
    from ddcai.encryption.threshold.sharing import Sharing
    from ddcai.models import encoder, state
    from ddcai.models.trained import largest_round, trained_part

    largest = trained_part(config, encoder.initial_state(config), largest_round(config))
    chosen, sharing = config.encryption, None if holders is None else Sharing(*holders)
    name, most = chosen.parameter_set, chosen.max_contributors
    planned = plan(state.count(largest), most, name, sharing, chosen.group_size)
    return planned.bytes_per_update


def room(folder: Path, need_bytes: int) -> str:
    """Whether a folder, made or not, can take so much."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigurationError(f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{there} cannot be written by this user")
    free = shutil.disk_usage(there).free
    said = f"{free / _MIB:.1f} MiB free in {there}, {need_bytes / _MIB:.1f} MiB needed"
    if free < need_bytes:
        raise ConfigurationError(said)
    return said
