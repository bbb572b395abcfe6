"""A ledger that was touched shows it."""

from __future__ import annotations

import hashlib
import json

import pytest

from qrlang.governor import ledger


def written(count: int) -> list[str]:
    before, texts = ledger.FIRST, []
    for k in range(count):
        line = ledger.seal({"kind": "cycle", "update": k, "action": k / 7}, before)
        before = line["hash"]
        texts.append(json.dumps(line))
    return texts


def test_as_written() -> None:
    assert ledger.broken(written(9)) is None
    assert ledger.broken([]) is None


def test_anybody_can_check_it() -> None:
    line = json.loads(written(3)[-1])
    told = line.pop("hash")
    text = json.dumps(line, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == told


@pytest.mark.parametrize("key", ["kind", "update", "action", "before", "hash"])
def test_a_changed_line(key: str) -> None:
    texts = written(5)
    line = json.loads(texts[2])
    line[key] = "0" * 64 if key in ("before", "hash") else 1e9
    texts[2] = json.dumps(line)
    found = ledger.broken(texts)
    assert found is not None and found[0] == 3


def test_a_changed_line_with_a_hash_of_its_own() -> None:
    texts = written(5)
    line = json.loads(texts[2])
    line["action"] = 0.0
    texts[2] = json.dumps({**line, "hash": ledger.digest(line)})
    found = ledger.broken(texts)
    assert found is not None and found[0] == 4 and "taken out" in found[1]


def test_lines_taken_out_put_in_moved_or_cut() -> None:
    texts = written(5)
    for broken, at in (
        (texts[:2] + texts[3:], 3),
        (texts[1:], 1),
        ([*texts[:2], texts[1], *texts[2:]], 3),
        ([texts[0], texts[2], texts[1], *texts[3:]], 2),
        ([*texts[:4], texts[4][:30]], 5),
        ([*texts, "[]"], 6),
    ):
        found = ledger.broken(broken)
        assert found is not None and found[0] == at, broken


def test_cycles_that_are_missing_at_the_end() -> None:
    lines = [{"kind": "sky", "bounds": {"cycle": 4}}]
    lines += [{"kind": "cycle", "update": k} for k in (1, 5, 9)]
    assert not ledger.ends_early(lines, 9) and not ledger.ends_early(lines, 12)
    assert ledger.ends_early(lines, 13) and ledger.ends_early(lines[:-1], 9)
    assert ledger.ends_early(lines[:1], 1) and ledger.ends_early([], 1)
