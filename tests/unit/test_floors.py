"""The layout that the README draws: what stands above knows what stands below it, never the other
way round, also not inside a function."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def floors() -> dict[str, int]:
    """By package or module: on which line of the table it stands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("qrlang/      ") :].split("backends/")[0]
    found: dict[str, int] = {}
    for number, line in enumerate(table.splitlines()):
        for name in line[13:30].replace(",", " ").split() + re.findall(r"\w+\.py", line):
            found[name.removesuffix(".py")] = number
    return found


def test_no_import_runs_up() -> None:
    floor = floors()
    assert floor["system"] == 0 and floor["cli"] == max(floor.values()) > 10
    packages = {p.name for p in (ROOT / "qrlang").iterdir() if (p / "__init__.py").is_file()}
    assert packages - {"backends"} <= floor.keys()
    wrong = []
    for path in sorted((ROOT / "qrlang").rglob("*.py")):
        own = path.relative_to(ROOT / "qrlang").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("qrlang"):
                continue
            _, _, inside = str(node.module).partition(".")
            names = [inside.split(".")[0]] if inside else [a.name for a in node.names]
            for name in names:
                if floor.get(own, 99) < floor.get(name, -1):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert not wrong


def test_what_a_torch_module_is_made_of_stands_in_order() -> None:
    """Types count too: a state that has to know what a model is cannot be read on its own."""
    folder = ROOT / "backends" / "torch"
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text is not None
    floor = {name: k for k, name in enumerate(re.findall(r"^    (\w+)  ", text, re.MULTILINE))}
    assert {"ops": 0, "model": 8}.items() <= floor.items()
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        own = path.relative_to(folder).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                "qrlang.backends.torch."
            ):
                name = str(node.module).split(".")[3]
                if floor.get(own, 99) < floor.get(name, -1):
                    wrong.append(f"{path.relative_to(folder)}:{node.lineno} imports {name}")
    assert not wrong
