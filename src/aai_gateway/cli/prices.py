"""`aai-gateway prices`: what AssemblyAI charges, and how the gateway learns of a change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.admin_options import Json
from aai_gateway.cli.moments import parse_moment
from aai_gateway.cli.output import note, print_json, print_table
from aai_gateway.cli.price_tables import (
    CHAT,
    SPEECH,
    changes_json,
    prices_json,
    print_changes,
    print_prices,
)
from aai_gateway.cli.store import on_store
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.catalogue import Catalogue
from aai_gateway.core.catalogue_prices import compare
from aai_gateway.core.price_book import PriceBook, moment_text
from aai_gateway.core.price_changes import PriceChange, added, changes, known
from aai_gateway.core.price_overlays import merge, moments
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book
from aai_gateway.strict_yaml import read_yaml

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.settings import Settings
    from aai_gateway.store import Store
    from aai_gateway.store.price_books import StoredOverlay

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="What is charged: show, compare, refresh, load."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


@dataclass(frozen=True, slots=True)
class Books:
    """The book in force, and the published one: without the prices of one's own contract."""

    in_force: PriceBook
    published: PriceBook


@app.command(epilog="Example: aai-gateway prices show --chat --at 2026-10-01")
def show(
    at: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|7d", parser=parse_moment, help="As of this UTC moment; now unless given."),
    ] = None,
    speech: Annotated[
        bool | None, typer.Option("--speech/--chat", help="Only these; both unless given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Every price in force, since when, and who said so."""
    book, moment = _books().in_force, at or utc_now()
    services = {None: (SPEECH, CHAT), True: (SPEECH,), False: (CHAT,)}[speech]
    if as_json:
        print_json({"at": moment, "prices": prices_json(book, moment, services)})
    else:
        print_prices(book, moment, services)


@app.command(epilog="Example: aai-gateway prices diff --from 2026-09-01 --to 2026-12-01")
def diff(
    start: Annotated[
        datetime | None,
        typer.Option("--from", metavar="DATE|30d", parser=parse_moment, help="The book as of this moment,"),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--to", metavar="DATE|1d", parser=parse_moment, help="and as of this; now unless given."
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when something differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What changed between two moments; without them, what AssemblyAI's catalogues say otherwise now."""
    if end is not None and start is None:
        raise typer.BadParameter("--to needs a --from.")
    problems: Sequence[str] = ()
    if start is not None:
        book = _books().in_force
        found = changes(known(book, start), known(book, end or utc_now()))
    else:
        catalogues, failed = _catalogues(ALL_REGIONS)
        if failed:
            raise PriceError(" ".join(failed.values()))
        published, now = _books().published, _now()
        compared = compare(published, catalogues, now, "catalogue")
        found = added(published, _merged(published, compared.body), [now])
        problems = compared.problems
    if as_json:
        print_json(changes_json(found))
    elif found:
        print_changes(found)
    else:
        note("Nothing differs.")
    _tell(problems)
    if exit_code and (found or problems):
        raise typer.Exit(1)


@app.command(epilog="Example: aai-gateway prices sync --region eu --dry-run")
def sync(
    region: Annotated[
        list[Region] | None, typer.Option(help="Only this region's catalogue; both unless given.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take the chat models' prices from the regions' /v1/models; older prices stay, with their dates.

    A running gateway charges by them from its next charge on. No key is needed.
    """
    catalogues, failed = _catalogues(region or ALL_REGIONS)
    now = _now()
    source = f"sync {', '.join(_address(catalogue.region) for catalogue in catalogues)}"
    books = _books()
    compared = compare(books.published, catalogues, now, source.removeprefix("sync "))
    found = added(books.published, _merged(books.published, compared.body), [now])
    number = None
    if compared.body and not dry_run:
        number = on_store(lambda store: _store_sync(store, catalogues, now, source))
    if as_json:
        print_json(
            {
                "number": number,
                "changes": changes_json(found),
                "problems": list(compared.problems),
                "failed": {region.value: text for region, text in failed.items()},
            }
        )
    elif found:
        print_changes(found)
    if catalogues:
        _say(number, found, dry_run=dry_run)
    charged = added(books.in_force, _merged(books.in_force, compared.body), [now])
    if len(charged) < len(found):
        note(f"{len(found) - len(charged)} of these change no charge: your own prices hold.")
    _tell(compared.problems)
    if failed:
        raise PriceError("Nothing was taken from " + " ".join(failed.values()))
    if compared.problems:
        raise typer.Exit(1)


@app.command(epilog="Example: aai-gateway prices load contract.yaml --dry-run")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A part of a price book, as YAML or JSON.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Load the prices of your own contract: from their dates on, they replace the published ones."""
    body = _own_prices(file)
    books, now = _books(), _now()
    overlay = parse_overlay(body, own=True)
    merged = merge(books.in_force, overlay)
    found = added(books.in_force, merged, [*moments(overlay), now])
    number = None
    if not dry_run and merged != books.in_force:
        number = on_store(lambda store: _store_own(store, body, now, f"load {file.name}"))
    if as_json:
        print_json({"number": number, "changes": changes_json(found)})
    elif found:
        print_changes(found)
    _say(number, found, dry_run=dry_run)


@app.command(epilog="Example: aai-gateway prices history")
def history(as_json: Json = False) -> None:
    """The changes to the packaged price book, oldest first."""
    found: list[StoredOverlay] = on_store(_history) if _has_store() else []
    if as_json:
        print_json(
            [
                {"number": one.id, "when": one.created_at, "source": one.source, "body": one.body}
                for one in found
            ]
        )
    elif found:
        print_table(
            ["Number", "When", "What", "Lines"],
            [
                [str(one.id), f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.source, str(_lines_in(one.body))]
                for one in found
            ],
            right=[0, 3],
        )
    else:
        note("The price book is the packaged one; nothing has been synced or loaded.")


def _books() -> Books:
    """The price books of the store, or the packaged one where there is no store. Raises PriceError."""
    packaged = load_price_book()
    return (
        on_store(lambda store: _stored_books(store, packaged)) if _has_store() else Books(packaged, packaged)
    )


def _has_store() -> bool:
    """Whether there is a store: to look at prices must not make one."""
    from aai_gateway.settings import load_settings
    from aai_gateway.store.engine import is_missing, parse_url

    return not is_missing(parse_url(load_settings().resolved_store_url))


async def _stored_books(store: Store, packaged: PriceBook) -> Books:
    async with store.read() as connection:
        return await _read(connection, packaged)


async def _read(connection: AsyncConnection, packaged: PriceBook) -> Books:
    from aai_gateway.store import price_books

    return Books(
        in_force=await price_books.merged(connection, packaged),
        published=await price_books.merged(connection, packaged, own=False),
    )


async def _store_sync(
    store: Store, catalogues: Sequence[Catalogue], now: datetime, source: str
) -> int | None:
    """Compare again where nobody else can write, and store what differs; its number."""
    from aai_gateway.store import price_books

    async with store.write() as connection:
        await price_books.lock(connection)
        books = await _read(connection, load_price_book())
        body = compare(books.published, catalogues, now, source.removeprefix("sync ")).body
        if not body:
            return None
        for book in (books.published, books.in_force):
            _merged(book, body)
        return await price_books.add(connection, source, body, now)


async def _store_own(store: Store, body: Mapping[str, Any], now: datetime, source: str) -> int:
    from aai_gateway.store import price_books

    async with store.write() as connection:
        await price_books.lock(connection)
        merge((await _read(connection, load_price_book())).in_force, parse_overlay(body, own=True))
        return await price_books.add(connection, source, body, now)


async def _history(store: Store) -> list[StoredOverlay]:
    from aai_gateway.store import price_books

    async with store.read() as connection:
        return await price_books.list_all(connection)


def _merged(book: PriceBook, body: Mapping[str, Any]) -> PriceBook:
    return merge(book, parse_overlay(body))


def _catalogues(regions: Sequence[Region]) -> tuple[list[Catalogue], dict[Region, str]]:
    from aai_gateway.cli.catalogues import fetch_all

    return asyncio.run(fetch_all(_settings(), [region for region in ALL_REGIONS if region in regions]))


def _address(region: Region) -> str:
    from aai_gateway.cli.catalogues import address

    return address(_settings(), region)


def _settings() -> Settings:
    from aai_gateway.settings import load_settings

    return load_settings()


def _now() -> datetime:
    """Now, to the second, as price books are dated."""
    return utc_now().replace(microsecond=0)


def _own_prices(file: Path) -> dict[str, Any]:
    """The plain JSON values of a file of prices. Raises PriceError naming the file and the line or key."""
    try:
        data = read_yaml(file.read_text(encoding="utf-8"))
        parse_overlay(data, own=True)
    except OSError as error:
        raise PriceError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PriceError(f"{file} cannot be read: it is no text in UTF-8.") from None
    except (PriceError, ValueError) as error:
        raise PriceError(f"{file}: {error}") from None
    body = {name: _plain(part) for name, part in data.items() if name != "sources"}
    if not any(body.values()):
        raise PriceError(f"{file} holds no prices.")
    return body


def _plain(value: Any) -> Any:
    """YAML's values as JSON's: a date or moment is ISO text."""
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _lines_in(body: Any) -> int:
    """How many dated lines a change has."""
    if isinstance(body, Mapping):
        return 1 if "from" in body else sum(map(_lines_in, body.values()))
    return sum(map(_lines_in, body)) if isinstance(body, list) else 0


def _say(number: int | None, found: Sequence[PriceChange], *, dry_run: bool) -> None:
    if number is not None:
        note(f"Stored as change {number}. A running gateway charges by it from now on.")
    elif found and dry_run:
        note("Nothing was stored.")
    else:
        note("Nothing has changed.")


def _tell(problems: Sequence[str]) -> None:
    for problem in problems:
        note(f"Left out: {problem}.")
