"""What editors are given: the folder `grammar/` as an extension of VS Code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import qrlang
import qrlang.grammar

FOLDER = Path(qrlang.grammar.__path__[0])
PAGES = sorted((Path(__file__).parent.parent / "ui").glob("*.stderr"))


def test_the_extension_is_whole() -> None:
    package = json.loads((FOLDER / "package.json").read_text())
    assert package["version"] == qrlang.__version__
    gives = package["contributes"]
    (language,), (grammar,) = gives["languages"], gives["grammars"]
    json.loads((FOLDER / language["configuration"]).read_text())
    scopes = json.loads((FOLDER / grammar["path"]).read_text())
    assert scopes["scopeName"] == grammar["scopeName"] and grammar["language"] == language["id"]
    script = (FOLDER / package["main"]).read_text()
    asked = set(re.findall(r'require\("([\w-]+)', script))
    assert asked == {"vscode", *package["dependencies"]}
    for setting in gives["configuration"]["properties"]:
        assert (
            f'getConfiguration("{setting.split(".")[0]}").get("{setting.split(".")[1]}")' in script
        )


def test_every_message_is_found() -> None:
    """The pattern that turns the lines of `qrlc check` into problems at a place."""
    (matcher,) = json.loads((FOLDER / "package.json").read_text())["contributes"]["problemMatchers"]
    head, place = (re.compile(p["regexp"]) for p in matcher["pattern"])
    found = 0
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        for k, line in enumerate(lines):
            if re.match(r"(error|warning)\[", line) and "-->" in lines[k + 1]:
                said, where = head.match(line), place.match(lines[k + 1])
                assert said and said[3] and where and where[1].endswith(".qrl"), (page, line)
                found += 1
    assert found > len(PAGES) / 2
