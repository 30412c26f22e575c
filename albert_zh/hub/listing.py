"""``models``: the catalogue for people: what there is, what is here already, licences and addresses."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from albert_zh.files import InputError, default_home
from albert_zh.hub.catalog import DATASETS, MODELS, Dataset, Model
from albert_zh.hub.download import addresses_of, folder_of, here

#: A filter that leaves this many rows or fewer shows all that is known of each.
FEW = 5


@dataclass(frozen=True)
class ListOptions:
    """Options of ``albert-zh models``."""

    contains: str = field(
        default="", metadata={"help": "Only names that contain this text, such as tiny.", "positional": True}
    )
    addresses: bool | None = field(
        default=None,
        metadata={
            "help": "Below each row its addresses, its folder and the whole of its licence. Left out: when CONTAINS "
            f"leaves {FEW} rows or fewer."
        },
    )
    home: str | None = field(
        default=None,
        metadata={"help": "Folder that keeps downloads; without it $ALBERT_ZH_HOME, else ~/.cache/albert_zh."},
    )


def run(options: ListOptions) -> None:
    """Prints the catalogue, one row a model or data set, ``*`` before what is here; addresses when asked or few.

    Raises:
        InputError: no name contains the text.
    """
    home = Path(options.home).expanduser() if options.home else default_home()
    models, datasets = (
        [row for row in table.values() if options.contains.lower() in row.name.lower()] for table in (MODELS, DATASETS)
    )
    if not models and not datasets:
        raise InputError(f"no name contains {options.contains!r}. albert-zh models without a text lists all.")
    detailed = options.addresses
    if detailed is None:
        detailed = bool(options.contains) and len(models) + len(datasets) <= FEW
    for title, head, rows in (
        ("models", ("name", "family", "size", "layout", "licence"), models),
        ("data sets", ("name", "licence"), datasets),
    ):
        if rows:
            print(f"{title}:")
            _print_table(head, rows, home, detailed)
    print(f"*: already here, in {home}. albert-zh download NAME fetches one.")
    if not detailed:
        print("--addresses=true, or a text that few names contain, shows all that is known.")


def _print_table(head: tuple[str, ...], rows: Sequence[Model | Dataset], home: Path, detailed: bool) -> None:
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not detailed else sys.maxsize
    print(_line(" ", head, widths))
    for row, line in zip(rows, cells, strict=True):
        print(_with_note(_line("*" if here(row, home) else " ", line, widths), row.note, width))
        if detailed:
            print("\n".join(f"      {detail}" for detail in _details(row, home)))


def _cells(row: Model | Dataset) -> tuple[str, ...]:
    licence = row.licence.partition(" (")[0]
    if isinstance(row, Model):
        return row.name, row.family, row.size, row.layout, licence
    return row.name, licence if row.downloads else f"{licence}; no public address known"


def _line(mark: str, cells: tuple[str, ...], widths: list[int]) -> str:
    return f"{mark} " + " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _with_note(line: str, note: str, width: int) -> str:
    """The line with its note, the note cut or left out where a terminal of ``width`` columns would break the row."""
    whole = f"{line}; {note}" if note else line
    if len(whole) <= width:
        return whole
    return f"{whole[: width - 1]}…" if len(line) + 8 <= width else line


def _details(row: Model | Dataset, home: Path) -> list[str]:
    """Licence, folder and, file by file, the addresses in the order they are tried."""
    lines = [f"licence: {row.licence}"]
    found = here(row, home)
    lines.append(f"here: {found}" if found else f"not here; its folder: {folder_of(row, home)}")
    for download in row.downloads:
        for place, address in enumerate(addresses_of(download)):
            checksum = f" ({address.algorithm} {address.digest})" if address.algorithm else ""
            lines.append(f"{'or ' if place else ''}{address.url}{checksum}")
    return lines
