"""Every ```qrl block of the README and of docs/ is compiled; generated tables are up to date.

The word after `qrl` says what is expected: nothing means that the block checks without an error,
a code (`E0302`) that it gives exactly that error.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from cli_tools import qrlc

from qrlang.check import check_file
from qrlang.check.functions.builtins import BUILTINS
from qrlang.check.library import Library
from qrlang.cli.lazy import COMMANDS, LazyGroup
from qrlang.format import format_text
from qrlang.grammar.keywords import KEYWORDS
from qrlang.source import Source
from qrlang.syntax.parser import parse

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```qrl *(?P<want>\S*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> list[object]:
    found: list[object] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            where = f"{page.relative_to(ROOT)}:{line}"
            found.append(pytest.param(where, match["text"], match["want"], id=where))
    return found


@pytest.mark.parametrize(("where", "text", "want"), blocks())
def test_block_compiles(where: str, text: str, want: str) -> None:
    tree, syntax = parse(Source(where, text))
    _, checked = check_file(tree, Library())
    errors = [d.code for d in (*syntax, *checked) if d.severity == "error"]
    assert errors == ([want] if want else []), [d.message for d in (*syntax, *checked)]


@pytest.mark.parametrize(("where", "text", "want"), blocks())
def test_block_is_formatted(where: str, text: str, want: str) -> None:
    laid_out, _ = format_text(Source(where, text))
    assert laid_out == text


@pytest.mark.parametrize(
    ("page", "files"),
    [("README.md", ()), ("docs/study.md", ()), ("docs/tutorial.md", ("memory", "", "", "wrong"))],
)
def test_the_compiler_says_what_the_page_shows(
    page: str, files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`…` stands for lines that are left out. `files`: what the reader calls each block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    monkeypatch.chdir(ROOT)
    if files:
        monkeypatch.chdir(tmp_path)
        for name, match in zip(files, BLOCK.finditer(text), strict=False):
            if name:
                Path(f"{name}.qrl").write_text(match["text"], encoding="utf-8")
    shown = 0
    for session in re.findall(r"^```\n(\$ qrlc .*?)^```$", text, re.MULTILINE | re.DOTALL):
        for command, output in re.findall(r"\$ qrlc (.*)\n((?:[^$\n].*\n|\n)*)", session):
            if command.split()[0] in ("check", "draw", "inspect"):
                done = qrlc(*command.split())
                lines = (done.out + done.err).splitlines()
                missing = [x for x in output.splitlines() if x != "…" and x not in lines]
                assert not missing, (command, missing)
                shown += bool(output)
    assert shown


def test_the_picture_is_what_the_model_becomes(tmp_path: Path) -> None:
    first = BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert first
    (tmp_path / "qrnn.qrl").write_text(first["text"], encoding="utf-8")
    done = qrlc("draw", tmp_path / "qrnn.qrl", "--svg", tmp_path / "qrnn.svg")
    assert done.code == 0, done.err
    kept = ROOT / "docs" / "pictures" / "qrnn.svg"
    assert kept.read_bytes() == (tmp_path / "qrnn.svg").read_bytes()


def test_pages_have_blocks() -> None:
    assert len(blocks()) > 15


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_generated_tables_are_up_to_date(page: Path) -> None:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    text = page.read_text(encoding="utf-8")
    assert text == build.built(text), f"{page.name} is stale: run python docs/build.py"


def module(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_study_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = module(ROOT / "benchmarks" / "figures.py", monkeypatch)
    before = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    found, tables = figures.stored(), figures.study(figures.stored())
    assert re.findall(r"<!-- figures: (\w+) -->", before) == list(tables)
    for name, text in tables.items():
        assert f"<!-- figures: {name} -->\n{text}<!-- end -->" in before, name
    picture = (ROOT / figures.PICTURE).read_text(encoding="utf-8")
    assert picture == figures.to_svg(figures.drawn(found))


def test_the_commands_of_the_study_can_be_given() -> None:
    """Every option is one, every file there, every parameter one of the program's."""
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    group = LazyGroup()
    lines = re.findall(r"^\$ qrlc ([^#\n]*)", text, re.MULTILINE)
    assert len(lines) > 20
    for line in lines:
        name, *words = shlex.split(line)
        given = group.get_command(click.Context(group), name)
        assert given is not None, line
        options = given.make_context(name, words, resilient_parsing=False).params
        file = str(options.get("path") or options.get("run") or "")
        if file.startswith("examples/"):
            chosen = [x for k, v in options["settings"] for x in ("--set", f"{k}={v}")]
            assert qrlc("check", ROOT / file, *chosen).code == 0, line


def test_the_language_page_has_every_word() -> None:
    """Of the grammar, and every name that stands for something without being declared."""
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`[^`\n]+`|^```qrl.*?^```", text, re.MULTILINE | re.DOTALL))
    words = set(re.findall(r"\w+", code))
    assert {k.word for k in KEYWORDS} <= words
    assert set(BUILTINS) <= words


def test_the_readme_has_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`qrlc {name}" not in text] == []


def test_what_the_pages_name_is_in_the_library() -> None:
    there = set()
    for path in (ROOT / "stdlib").glob("*.qrl"):
        text = path.read_text(encoding="utf-8")
        there |= {f"std.{path.stem}"} | {
            f"std.{path.stem}.{name}"
            for name in re.findall(r"^(?:ansatz|readout|hamiltonian) (\w+)", text, re.MULTILINE)
        }
    for page in PAGES:
        named = set(re.findall(r"\bstd\.\w+(?:\.\w+)?", page.read_text(encoding="utf-8")))
        assert named <= there, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    heads = {
        re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in heads, target
        elif "://" not in target:
            assert (page.parent / target.split("#")[0]).exists(), target


def test_a_model_by_hand_in_pennylane() -> None:
    """The two programs of docs/coming-from.md, with the same weights: the same numbers and slopes."""
    pytest.importorskip("pennylane")
    torch = pytest.importorskip("torch")
    import qrlang

    text = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    theirs, ours = (
        re.search(rf"```{word}\n(.*?)```", text, re.DOTALL) for word in ("python", "qrl")
    )
    assert theirs is not None and ours is not None
    names: dict[str, object] = {}
    exec(theirs[1], names)
    torch.manual_seed(0)
    hand, model = names["QRNN"](), qrlang.loads(ours[1])  # type: ignore[operator]
    with torch.no_grad():
        for a, b in zip(hand.parameters(), model.parameters(), strict=True):
            b.copy_(a)
    rows = torch.randn(5, 7, 28)
    results = [m(rows) for m in (hand, model)]
    for y in results:
        y.square().sum().backward()
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    for a, b in zip(hand.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4)
