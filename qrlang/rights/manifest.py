"""A manifest: TOML beside the data. What it does not say is not allowed where it has to be."""

from __future__ import annotations

import datetime
import difflib
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError

SUFFIX, FOLDER, FORGOTTEN = ".rights.toml", "rights.toml", ".forgotten"
ASKED = "asked"

_KNOWN: dict[str, tuple[str, ...]] = {
    "": ("source", "key", "opacity", "decay", "joining"),
    "opacity": ("columns", "records"),
    "decay": ("after", "records"),
    "joining": ("with", "for"),
}


@dataclass(frozen=True)
class Manifest:
    path: Path
    source: str  # what others call this data
    key: str = ""  # the column whose entries name records; "": their numbers, from 0
    columns: frozenset[str] = frozenset()  # never read: names, or numbers from 0
    records: frozenset[str] = frozenset()  # never read
    after: datetime.date | None = None  # when all records fade
    fading: Mapping[str, datetime.date | None] = field(default_factory=dict)  # None: asked for
    joining: tuple[tuple[str, frozenset[str]], ...] = ()  # with which source, for which purposes

    def faded(self, today: datetime.date) -> frozenset[str]:
        """The records that are named and have faded."""
        return frozenset(r for r, day in self.fading.items() if day is None or day <= today)

    def over(self, today: datetime.date) -> bool:
        """Whether all of it has faded."""
        return self.after is not None and self.after <= today

    def hidden(self, today: datetime.date) -> frozenset[str]:
        """Records that may not be read."""
        return self.records | self.faded(today)

    def named(self) -> frozenset[str]:
        """Records of which it speaks, those that may still be read too."""
        return self.records | self.fading.keys()

    def allows(self, other: str, purpose: str) -> bool:
        """Whether it may be joined with that source for this purpose. Silence is no."""
        return any(w == other and purpose in why for w, why in self.joining)


def called(record: str) -> str:
    """One spelling for all that could mean the same record, so that a slip closes too much rather
    than too little: `P7`, `p7 `; and `7`, `007`, `7.0` where records are numbers."""
    name = unicodedata.normalize("NFKC", record).strip().casefold()
    number = re.fullmatch(r"0*([0-9]+)(\.0*)?", name)
    return number[1] if number else name


def manifests(path: Path) -> list[Manifest]:
    """All that speak of a file: beside it, for its folder, and wherever a link leads to on the way.
    What has a manifest's name and is none, a broken link or a folder, closes the file too."""
    found: dict[Path, Manifest] = {}
    places = list(dict.fromkeys((*_places(path.absolute()), path.resolve())))
    for place in places:
        for candidate in (place.with_name(place.name + SUFFIX), place.with_name(FOLDER)):
            if os.path.lexists(candidate):
                if candidate.resolve() not in found:
                    found[candidate.resolve()] = read(candidate, path)
            else:
                _nearly(candidate, place)
    if not found:
        return []
    asked = frozenset(name for place in places for name in _asked(place))
    return [replace(m, fading={**m.fading, **dict.fromkeys(asked)}) for m in found.values()]


def _nearly(exact: Path, data: Path) -> None:
    """A file that is meant for a manifest and has not its name would open what it should close."""
    wanted = {exact.name.casefold()}
    if exact.name != FOLDER:
        parts = data.name.casefold().split(".")
        wanted |= {".".join(parts[:k]) + SUFFIX for k in range(1, len(parts))}
    try:
        names = os.listdir(exact.parent)
    except OSError:
        return  # nothing can be opened there either
    others = {n + SUFFIX for n in names}  # what speaks of another file is meant for that one
    for name in names:
        close = {w for w in wanted if name not in others and _misspelt(name.casefold(), w)}
        if close or name.casefold().removesuffix(".txt") in wanted:
            raise _wrong(
                exact.with_name(name), f"a manifest of {data.name} has another name",
                f"call it {exact.name}; nothing was read",
            )  # fmt: skip


def _misspelt(name: str, wanted: str) -> bool:
    """`rights.tml`, `rigths.toml`: the same letters but for one or two, from the same first one."""
    if name[0] != wanted[0] or abs(len(name) - len(wanted)) > 1:
        return False
    return difflib.SequenceMatcher(None, name, wanted).ratio() > 0.9


def _asked(data: Path) -> list[str]:
    """The records that somebody has asked for with `qrlc forget`."""
    path = data.with_name(data.name + FORGOTTEN)
    if not os.path.lexists(path):
        return []
    try:
        return [called(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"it can't be read: {error}") from None


def _places(path: Path) -> Iterator[Path]:
    """A path, and those that it leads to link by link."""
    seen: set[Path] = set()
    while path not in seen:
        yield path
        seen.add(path)
        if path.is_symlink():
            path = path.parent.resolve() / path.readlink()


def source_of(data: Path) -> str:
    """What a file is called where no manifest says so: by its own name, not that of a link."""
    return data.resolve().name.partition(".")[0]


def read(path: Path, data: Path) -> Manifest:
    try:
        page = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(path, f"it can't be read: {error}") from None
    _known(path, "", page)
    opacity, decay = (_table(path, page, name) for name in ("opacity", "decay"))
    key = _text(path, "key", page.get("key", ""))
    fading: dict[str, datetime.date | None] = {}
    for record, day in _mapping(path, "decay.records", decay.get("records", {})).items():
        where = f"decay.records.{record}"
        fading[called(record)] = None if day == ASKED else _date(path, where, day)
    joining = page.get("joining", [])
    if not isinstance(joining, list) or not all(isinstance(x, dict) for x in joining):
        raise _wrong(path, "`joining` is a list of tables: [[joining]]")
    allowed = []
    for entry in joining:
        _known(path, "joining", entry)
        if "with" not in entry or "for" not in entry:
            raise _wrong(path, "a [[joining]] says `with` which source, and `for` which purposes")
        purposes = frozenset(_texts(path, "joining.for", entry["for"]))
        allowed.append((_text(path, "joining.with", entry["with"]), purposes))
    after = decay.get("after")
    return Manifest(
        path,
        _text(path, "source", page.get("source", source_of(data))),
        key,
        frozenset(_texts(path, "opacity.columns", opacity.get("columns", []))),
        frozenset(map(called, _texts(path, "opacity.records", opacity.get("records", [])))),
        None if after is None else _date(path, "decay.after", after),
        fading,
        tuple(allowed),
    )


def _known(path: Path, table: str, page: Mapping[str, Any]) -> None:
    """A word that is misspelt would open what should be closed."""
    for name in page:
        if name not in _KNOWN[table]:
            where = f"[{table}] has" if table else "there is"
            help = did_you_mean(name, _KNOWN[table]) or "it may have " + ", ".join(_KNOWN[table])
            raise _wrong(path, f"{where} no `{name}`", help)


def _table(path: Path, page: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = _mapping(path, name, page.get(name, {}))
    _known(path, name, found)
    return found


def _mapping(path: Path, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, f"`{name}` is a table: [{name}]")
    return value


def _text(path: Path, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(path, f"`{name}` is a text, found {value!r}")
    return value


def _texts(path: Path, name: str, value: Any) -> list[str]:
    """Texts, or whole numbers as texts."""
    if not isinstance(value, list) or not all(
        isinstance(x, (str, int)) and not isinstance(x, bool) for x in value
    ):
        raise _wrong(path, f"`{name}` is a list of texts or numbers, found {value!r}")
    return [str(x) for x in value]


def _date(path: Path, name: str, value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if not isinstance(value, datetime.date):
        raise _wrong(path, f'`{name}` is a date such as 2027-01-31, or "{ASKED}", found {value!r}')
    return value


def _wrong(path: Path, what: str, help: str = "") -> DataError:
    return DataError(
        "wrong-manifest", f"{path}: {what}", help or "nothing was read: see docs/rights.md"
    )
