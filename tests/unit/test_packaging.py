"""What is shipped is the tree, under the one name `qrlang`, however it is installed."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

FOLDERS = {
    "qrlang": "qrlang",
    "grammar": "qrlang/grammar",
    "backends": "qrlang/backends",
    "stdlib": "qrlang/stdlib",
}
DATA = {".css", ".html", ".js", ".json", ".lark", ".md", ".qrl", ".toml"}
MOVED = [folder for folder in FOLDERS if folder != "qrlang"]


def python(*args: str, cwd: Path) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, *args], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bare(root: Path, code: str, cwd: Path) -> str:
    """Run code with the checkout and the dependencies on the path, but with no install.

    -S: the editable install that these tests run from is not seen.
    """
    path = [str(root), sysconfig.get_path("purelib")]
    return python("-I", "-S", "-c", f"import sys; sys.path += {path}\n{code}", cwd=cwd)


def sources(root: Path) -> list[Path]:
    return [
        path
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a wheel built from the sdist, the way an index user gets it."""
    tmp = tmp_path_factory.mktemp("dist")
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md"):
        if (root / name).exists():
            shutil.copy(root / name, tmp)
    for folder in FOLDERS:
        shutil.copytree(root / folder, tmp / folder, ignore=skip)
    build = "from setuptools import build_meta; build_meta.build_{}('.')"
    python("-c", build.format("sdist"), cwd=tmp)
    [sdist] = tmp.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp / "sdist", filter="data")
    [unpacked] = (tmp / "sdist").iterdir()
    python("-c", build.format("wheel"), cwd=unpacked)
    [built] = unpacked.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_every_folder_with_python_files_is_a_package(root: Path) -> None:
    missing = {
        str((path.parent / "__init__.py").relative_to(root))
        for path in sources(root)
        if path.suffix == ".py" and not (path.parent / "__init__.py").exists()
    }
    assert not missing, f"add these files, or the folders are not shipped: {sorted(missing)}"


def test_every_file_is_of_a_kind_that_is_shipped(root: Path) -> None:
    other = [
        str(path.relative_to(root))
        for path in sources(root)
        if path.suffix not in {".py", *DATA} and path.name != "py.typed"
    ]
    assert not other, f"add to package-data in pyproject.toml, and to DATA here: {other}"


def test_the_wheel_is_the_tree(root: Path, wheel: set[str]) -> None:
    tree = {
        "/".join([FOLDERS[head], *rest])
        for head, *rest in (path.relative_to(root).parts for path in sources(root))
    }
    shipped = {name for name in wheel if name.startswith("qrlang/")}
    assert sorted(tree - shipped) == []  # left out
    assert sorted(shipped - tree) == []  # not in the tree


def test_the_wheel_has_nothing_unprefixed(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"qrlang"}
    assert len(tops) == 2


@pytest.mark.parametrize("folder", MOVED)
def test_a_checkout_works_without_an_install(root: Path, tmp_path: Path, folder: str) -> None:
    code = f"import qrlang.{folder} as m; print(m.__file__)"
    assert bare(root, code, tmp_path).strip() == str(root / folder / "__init__.py")


@pytest.mark.parametrize("folder", MOVED)
def test_the_unprefixed_name_is_refused(root: Path, tmp_path: Path, folder: str) -> None:
    code = f"""
try:
    import {folder}
except ImportError as error:
    print(error)
"""
    assert f"qrlang.{folder}" in bare(root, code, tmp_path)


def test_there_is_no_second_qrlang(root: Path, tmp_path: Path) -> None:
    code = """
try:
    import qrlang.qrlang
except ImportError as error:
    print(error)
"""
    assert "qrlang.qrlang" in bare(root, code, tmp_path)


def test_the_front_end_loads_nothing_heavy(root: Path, tmp_path: Path) -> None:
    """Only what trains, runs and probes models computes; nobody else pays for loading it."""
    computing = (
        "qrlang.engine",
        "qrlang.governor",
        "qrlang.hardware",
        "qrlang.probe",
        "qrlang.rights",
        "qrlang.report",
        "qrlang.scar",
        "qrlang.session",
        "qrlang.trace",
        "qrlang.training",
    )
    modules = [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in sources(root)
        if path.is_relative_to(root / "qrlang") and path.suffix == ".py"
    ]
    code = f"""
import importlib, json
for name in {[name for name in modules if not name.startswith(computing)]}:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
    loaded = set(json.loads(bare(root, code, tmp_path)))
    assert not loaded & {"numpy", "torch", "qiskit", "braket"}


def test_the_declared_entry_points_are_in_the_tree(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    targets = [*project["scripts"].values(), *project["entry-points"]["qrlang.backends"].values()]
    code = """
import importlib
for target in {}:
    module, name = target.split(":")
    getattr(importlib.import_module(module), name)
"""
    bare(root, code.format(targets), root / "tests")


def test_all_extras_but_the_tools_are_in_all(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = set(extras["optional-dependencies"]) - {"all", "dev", "lint", "test"}
    [everything] = extras["optional-dependencies"]["all"]
    assert set(everything.removeprefix("qrlang[").removesuffix("]").split(",")) == names
