"""Files that a program draws on: its own neighbours, the standard library, packages of others.

`use a.b.c` is item `c` of the file `a/b.qrl`, or of `a/b/c.qrl`. The root `std` is the standard
library; another root is an entry point of the group `qrlang.library`, whose package is located but
never imported; a path that starts with a dot begins beside the file it stands in. A path is made
of names, so it can't climb; links that lead out of the root are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from qrlang.check.standard import standard_folder, standard_items
from qrlang.diagnostics import Diagnostic, Note
from qrlang.diagnostics.words import did_you_mean, nearest
from qrlang.source import Source, Span
from qrlang.syntax import ast

MAX_FILES = 500


@dataclass(eq=False, slots=True)
class Module:
    """A parsed file, and what its names stand for (filled as they are asked for)."""

    file: ast.File
    kind: Literal["user", "library"]
    folder: Path | None  # where `use .x` begins; None: nowhere
    root: Path | None  # what `use .x` must not leave
    items: dict[str, ast.Item | ast.Stmt]
    uses: dict[str, tuple[Module, str] | None] = field(default_factory=dict)  # None: broken
    things: dict[str, object] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)  # constants being worked out

    def item(self, name: str) -> ast.Item | ast.Stmt | None:
        """Of this file, or drawn in by it."""
        source = self.uses.get(name)
        drawn = source[0].items.get(source[1]) if source is not None else None
        return self.items.get(name, drawn)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a `use` can't be followed."""

    code: str
    message: str
    help: str = ""
    candidates: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def items_of(file: ast.File) -> dict[str, ast.Item | ast.Stmt]:
    """Named things at the top of a file; the first of each name."""
    found: dict[str, ast.Item | ast.Stmt] = {}
    for item in file.items:
        if not isinstance(item, (ast.Use, ast.Train, ast.Govern)):
            name = getattr(item, "name", None)
            if isinstance(name, str):
                found.setdefault(name, item)
    return found


class Library:
    """Finds and parses files, each once."""

    def __init__(self, std: Path | None = None, *, packages: bool = True) -> None:
        self._std = std
        self._packages = packages
        self._roots: dict[str, Path | None] = {}
        self._files: dict[Path, Module | Problem] = {}
        self._loading: list[Path] = []
        self.sources: set[int] = set()  # ids of the sources that are not the user's
        self.diagnostics: list[Diagnostic] = []  # of files that were drawn in
        self._kept: list[Source] = []  # so that no id is used twice

    # --- roots ---

    def std(self) -> Path:
        if self._std is None:
            self._std = standard_folder()
        return self._std

    def root(self, name: str) -> Path | None:
        """The folder of `std` or of an installed library; None if there is none."""
        if name == "std":
            return self.std()
        if name not in self._roots:
            self._roots[name] = self._locate(name) if self._packages else None
        return self._roots[name]

    @staticmethod
    def _locate(name: str) -> Path | None:
        from importlib.metadata import entry_points
        from importlib.util import find_spec

        for entry in entry_points(group="qrlang.library", name=name):
            top, *rest = entry.value.split(":")[0].strip().split(".")
            try:
                spec = find_spec(top)  # looks; a top-level package is not executed by this
            except (ImportError, ValueError, AttributeError):
                continue
            for place in (spec and spec.submodule_search_locations) or ():
                folder = Path(place, *rest)
                if folder.is_dir():
                    return folder
        return None

    def installed(self) -> list[str]:
        """Names of the roots there are."""
        names = ["std"]
        if self._packages:
            from importlib.metadata import entry_points

            names += [e.name for e in entry_points(group="qrlang.library")]
        return names

    # --- files ---

    def main(self, file: ast.File) -> Module:
        """The module of the file being checked, its `use` lines not yet followed."""
        name = file.source.name
        folder = None
        if name and not name.startswith("<"):
            folder = Path(os.path.dirname(os.path.abspath(name)))
            path = _real(Path(name))
            if path is not None:
                self._loading.append(path)
        return Module(file, "user", folder, folder, items_of(file))

    def follow(
        self, module: Module, report: Callable[[ast.Use, ast.UseName, Problem], None]
    ) -> None:
        """Binds every name that a module draws in."""
        for item in module.file.items:
            if isinstance(item, ast.Use):
                for use in item.names:
                    found = self._find(module, item, use.name)
                    local = use.alias or use.name
                    if isinstance(found, Problem):
                        report(item, use, found)
                        module.uses.setdefault(local, None)
                        # What was probably meant may be written rightly further down.
                        meant = nearest(use.name, found.candidates)
                        if found.code == "E0205" and not use.alias and meant is not None:
                            module.uses.setdefault(meant, None)
                    else:
                        module.uses.setdefault(local, found)

    def _find(self, module: Module, use: ast.Use, name: str) -> tuple[Module, str] | Problem | None:
        if not all((*use.path, name)):
            return None  # half a line: the parser has said so
        if not use.path and not use.relative:
            return Problem(
                "E0205",
                f"`use {name}` names a library, not something in it",
                "say what is used: `use std.ansatz.su2_ring`; `qrlc stdlib` lists what there is",
            )
        written = ("." if use.relative else "") + ".".join((*use.path, name))
        kind: Literal["user", "library"] = "library"
        if use.relative:
            if module.folder is None:
                return Problem(
                    "E0204",
                    f"`{written}` looks beside this file, which is not on disk",
                    "save the file, or use the standard library: `use std.…`",
                )
            start, root, parts, kind = module.folder, module.root, use.path, module.kind
        else:
            found = self.root(use.path[0]) if use.path else None
            if found is None:
                first = use.path[0] if use.path else name
                return Problem(
                    "E0204",
                    f"no library `{first}` is installed",
                    f"a file of your own is named with a dot: `use .{written}`",
                    tuple(self.installed()),
                )
            start = root = found
            parts = use.path[1:]
        assert root is not None
        tried: list[Path] = []
        holder: Module | None = None
        for candidate in ([start.joinpath(*parts)] if parts else []) + [
            start.joinpath(*parts, name)
        ]:
            path = candidate.with_name(candidate.name + ".qrl")
            tried.append(path)
            if not _is_file(path):
                continue
            loaded = self._load(path, root, kind)
            if isinstance(loaded, Problem):
                return loaded
            holder = holder or loaded
            if any(
                d.severity == "error" and d.span.source is loaded.file.source
                for d in self.diagnostics
            ):
                return None  # the file has mistakes of its own, reported
            if name in loaded.items:
                item = loaded.items[name]
                if isinstance(item, ast.Model):
                    return Problem(
                        "E0208",
                        f"`{name}` is a model: only what models are made of can be used",
                        "a model is checked and trained from its own file",
                    )
                return loaded, name
            if name in loaded.uses and loaded.uses[name] is None:
                return None
        if holder is not None:
            elsewhere = standard_items().get(name) if kind == "library" else None
            return Problem(
                "E0205",
                f"`{holder.file.source.name}` has no `{name}`",
                f"it is in another file: `use {elsewhere}`" if elsewhere else "",
                () if elsewhere else tuple(holder.items),
            )
        shown = " or ".join(f"`{self._display(p, root, use)}`" for p in tried)
        return Problem("E0204", f"there is no file for `{written}`", f"looked for {shown}")

    def standard(self, module: Module, name: str) -> tuple[Module, str] | None:
        """Something of the standard library, by its name or by its path."""
        items = standard_items()
        *path, last = (name if name in items.values() else items.get(name, "")).split(".")
        if not path:
            return None
        at = Span(module.file.source, 0, 0)
        use = ast.Use(tuple(path), (ast.UseName(last, span=at),), span=at)
        found = self._find(module, use, last)
        return None if isinstance(found, Problem) else found

    def _display(self, path: Path, root: Path, use: ast.Use) -> str:
        inside = path.relative_to(root).as_posix()
        return inside if use.relative else f"{use.path[0]}/{inside}"

    def _load(self, path: Path, root: Path, kind: Literal["user", "library"]) -> Module | Problem:
        real, inside = _real(path), _real(root)
        if real is None or inside is None or not real.is_relative_to(inside):
            return Problem(
                "E0207",
                f"`{path.name}` is a link that leads out of the project",
                "put the file itself beside the one that uses it",
            )
        if real in self._loading:
            ring = [p.name for p in self._loading[self._loading.index(real) :]] + [real.name]
            return Problem(
                "E0206",
                "files use each other in a circle: " + " -> ".join(ring),
                "move what both need into a third file",
            )
        if real not in self._files:
            if len(self._files) >= MAX_FILES:
                return Problem("E0307", f"more than {MAX_FILES} files are drawn in")
            self._loading.append(real)
            self._files[real] = self._read(path, root, kind)
            self._loading.pop()
        return self._files[real]

    def _read(self, path: Path, root: Path, kind: Literal["user", "library"]) -> Module | Problem:
        from qrlang.syntax.parser import MAX_BYTES

        try:
            if path.stat().st_size > MAX_BYTES:
                return Problem("E0307", f"`{path.name}` is larger than {MAX_BYTES >> 20} MiB")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            reason = "is not UTF-8" if isinstance(e, UnicodeDecodeError) else "can't be read"
            return Problem("E0204", f"`{path.name}` {reason}")
        name = str(path)
        if kind == "library":
            first = "std" if root == self._std else root.name
            name = f"{first}/{path.relative_to(root).as_posix()}"
        else:
            here = os.getcwd() + os.sep
            name = name.removeprefix(here)
        # What is installed is the same for all that is checked in one process: parsed once.
        file, diagnostics = (_parsed if kind == "library" else _parse)(name, text)
        self._kept.append(file.source)
        if kind == "library":
            self.sources.add(id(file.source))
        self.diagnostics.extend(diagnostics)
        module = Module(file, kind, path.parent, root, items_of(file))
        self.follow(module, lambda use, name, p: self.diagnostics.append(problem_at(use, name, p)))
        return module


def drawn_on(module: Module) -> list[Module]:
    """The files that a file draws on, and those that they do, each once."""
    found: dict[int, Module] = {}
    waiting = [module]
    while waiting:
        for source in waiting.pop().uses.values():
            if source is not None and id(source[0]) not in found:
                found[id(source[0])] = source[0]
                waiting.append(source[0])
    return list(found.values())


def _parse(name: str, text: str) -> tuple[ast.File, tuple[Diagnostic, ...]]:
    from qrlang.syntax.parser import parse

    return parse(Source(name, text))


_parsed = lru_cache(maxsize=64)(_parse)


def problem_at(use: ast.Use, name: ast.UseName, problem: Problem) -> Diagnostic:
    written = use.path[0] if problem.code == "E0204" and use.path else name.name
    help = did_you_mean(written, problem.candidates) or problem.help
    span = use.span if problem.code == "E0204" and len(use.names) == 1 else name.span
    return Diagnostic(problem.code, problem.message, span, "", help, problem.notes)


def _is_file(path: Path) -> bool:
    """No file either if it could not have such a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _real(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
