"""The package list; everything else is in pyproject.toml.

Why code and not a list: three top-level folders ship under the name `qrlang.`, which a static
`packages.find` cannot say, and a list kept by hand silently drops the package somebody forgot.
Every folder with an `__init__.py` under the four below is shipped. Nothing unprefixed is.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "qrlang": "qrlang",
    "qrlang.grammar": "grammar",
    "qrlang.backends": "backends",
    "qrlang.stdlib": "stdlib",
}

setup(
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in [package, *(f"{package}.{sub}" for sub in find_packages(folder))]
    ],
    package_dir=FOLDERS,
)
