"""What `doctor` checks on this machine: versions, settings, the data folder, the store."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from aai_gateway.core.regions import ALL_REGIONS
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from aai_gateway.settings import Settings

PACKAGE = "aai-gateway"
_LITTLE_BYTES = 500_000_000
_OLDEST, _TOO_NEW = (3, 10), (3, 14)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(?:;.*extra == ['\"]([a-z]+)['\"])?")
_EXTRAS = {
    "proxy": "running the gateway",
    "quotes": "finding quotes",
    "emulator": "hearing unknown audio offline",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `ok`, `warn` (something is missing that not everyone needs) or `fail`."""

    name: str
    status: Literal["ok", "warn", "fail"]
    text: str


def python_version() -> Check:
    """Whether this Python is supported."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if _OLDEST <= sys.version_info[:2] < _TOO_NEW:
        return Check("python", "ok", found)
    return Check("python", "fail", f"{found} is not supported; use Python 3.10 to 3.13")


def packages() -> Iterator[Check]:
    """Whether the extras are installed, and LiteLLM at the release that the tests run on."""
    pinned = ""
    for extra, purpose in _EXTRAS.items():
        wanted = [(name, version) for name, version, of in _requirements() if of == extra]
        pinned = next((version for name, version in wanted if name == "litellm"), pinned)
        if missing := [name for name, _ in wanted if _installed(name) is None]:
            text = f"{', '.join(missing)} missing; for {purpose}: pip install '{PACKAGE}[{extra}]'"
            yield Check(f"extra {extra}", "warn", text)
        else:
            yield Check(f"extra {extra}", "ok", "installed")
    found, wanted_version = _installed("litellm"), pinned.removeprefix("==")
    if found is not None and found != wanted_version:
        text = f"{found} is installed, {wanted_version} is tested; pip install 'litellm[proxy]{pinned}'"
        yield Check("litellm", "fail", text)
    elif found is not None:
        yield Check("litellm", "ok", found)


def account_keys(settings: Settings) -> Iterator[Check]:
    """Whether each region has an account key."""
    for region in ALL_REGIONS:
        name = f"account key {region.value}"
        if settings.account_key(region):
            yield Check(name, "ok", "set")
        else:
            yield Check(
                name, "warn", "not set: this region answers 503; set ASSEMBLYAI_API_KEY for the gateway"
            )


def data_folder(settings: Settings) -> Check:
    """Whether the data folder can be written, by its owner only."""
    name, folder = "data folder", settings.data_path
    if not folder.exists():
        parent = next(one for one in folder.absolute().parents if one.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check(name, "ok", f"{folder} will be made at the first start")
        return Check(name, "fail", f"{folder} cannot be made in {parent}; set AAI_GATEWAY_DATA_DIR")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Check(name, "fail", f"{folder} cannot be written; set AAI_GATEWAY_DATA_DIR")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Check(name, "warn", f"others can look into {folder}: chmod 700 {folder}")
    return Check(name, "ok", str(folder))


def disk(settings: Settings) -> Iterator[Check]:
    """Whether the disk of a SQLite store has room for what comes."""
    from aai_gateway.store.engine import file_of, parse_url
    from aai_gateway.store.trouble import LEAST_BYTES, free_bytes

    try:
        file = file_of(parse_url(settings.resolved_store_url))
    except StoreError:
        return
    if file is None or (free := free_bytes(file)) is None:
        return
    if free < LEAST_BYTES:
        text = f"{free:,} bytes are left beside {file}: make room, a gateway without it answers 503"
        yield Check("disk", "fail", text)
    elif free < _LITTLE_BYTES:
        yield Check("disk", "warn", f"{free:,} bytes are left beside {file}: make room soon")
    else:
        yield Check("disk", "ok", f"{free:,} bytes are left beside {file}")


async def store(settings: Settings) -> Check:
    """Whether the store can be read, and whether its tables are this release's; changes nothing."""
    from sqlalchemy.exc import SQLAlchemyError

    from aai_gateway.store.engine import file_of, is_missing, parse_url, unknown_revision
    from aai_gateway.store.schema import REVISION
    from aai_gateway.store.trouble import advice

    name = "store"
    try:
        url = parse_url(settings.resolved_store_url)
        shown = url.render_as_string(hide_password=True)
        if is_missing(url):
            return Check(name, "ok", f"{shown} will be made at the first start")
        found = await store_revision(settings)
    except StoreError as error:
        return Check(name, "fail", str(error))
    except (SQLAlchemyError, OSError) as error:
        hint = advice(getattr(error, "orig", error), file_of(url))
        return Check(name, "fail", f"{shown} cannot be read: {cause_of(error)}{hint}")
    if found is None:
        return Check(name, "ok", f"{shown} is empty; its tables are made at the first start")
    if found == REVISION:
        return Check(name, "ok", f"{shown} at revision {found}")
    if reason := unknown_revision(found):
        return Check(name, "fail", reason)
    return Check(
        name, "warn", f"{shown} is at revision {found}, this release's is {REVISION}; a start upgrades it"
    )


async def store_revision(settings: Settings) -> str | None:
    """The revision of the store's tables, None when there are none; changes nothing.

    Raises StoreError, SQLAlchemyError or OSError when it cannot be read.
    """
    from aai_gateway.store.engine import is_missing, make_engine, parse_url, revision_of

    url = parse_url(settings.resolved_store_url)
    if is_missing(url):
        return None
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(revision_of)
    finally:
        await engine.dispose()


def cause_of(error: Exception) -> str:
    """What a database says is wrong, in one line."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _requirements() -> Iterator[tuple[str, str, str | None]]:
    """Name, version and extra of everything that the installed package requires."""
    for text in metadata.requires(PACKAGE) or ():
        if match := _REQUIREMENT.match(text):
            yield match[1], match[2].strip(), match[3]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
