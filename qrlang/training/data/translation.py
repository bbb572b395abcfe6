"""Sentences of one language, and their translations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError
from qrlang.training.data.columns import Ragged
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.sources import Records
from qrlang.training.data.vocabulary import PIECES, PRODUCED, Vocabulary, encode

_TOKENS = ("space", PIECES)

_TESTS = ("test2016", "test2017", "testcoco2017", "test2018")


def _multi30k(source: str, target: str) -> Callable[[Request], Loaded]:
    def load(request: Request) -> Loaded:
        archive = request.archive("multi30k_en_de.npz")
        test = request.text("test")
        if test not in _TESTS:
            raise DataError(
                "bad-argument",
                f"there is no test set `{test}` of `{request.name}`",
                did_you_mean(test, _TESTS) or "there are " + ", ".join(_TESTS),
            )
        tokens = request.text("tokens")
        if tokens not in _TOKENS:
            raise DataError(
                "bad-argument",
                f"there is no way `{tokens}` to cut the sentences of `{request.name}`",
                did_you_mean(tokens, _TOKENS)
                or "`space` (whole words) and `bpe` (pieces of words) are there",
            )
        stored = {"train": "train", "validation": "valid", "test": test}
        vocabularies: dict[str, Vocabulary] = dict(request.vocabularies)
        notes = archive.notes()

        def pairs(split: str) -> Iterator[tuple[str, str]]:
            """Those in which neither sentence is too long."""
            longest = request.longest
            both = (archive.lines(f"{stored[split]}_tok_{side}") for side in (source, target))
            for a, b in zip(*both, strict=True):
                if not longest or (len(a.split()) <= longest and len(b.split()) <= longest):
                    yield a, b

        def records(split: str) -> Records:
            columns = []
            for k, port in enumerate(request.ports):
                found = encode(
                    (pair[k] for pair in pairs(split)),
                    tokens,
                    vocabularies.get(port.name),
                    request.size(port),
                    PRODUCED,
                    ended=True,
                )
                vocabularies[port.name] = found.vocabulary
                columns.append(Ragged(found.flat, found.offsets, port, "the sentences"))
            if request.longest:
                there = sum(1 for _ in archive.lines(f"{stored[split]}_tok_en"))
                notes.append(
                    f"{split}: {len(columns[0])} of {there} pairs have at most "
                    f"{request.longest} words"
                )
            return Records(columns)

        train = records("train")
        return Loaded(
            {
                "train": lambda: train,
                "validation": lambda: records("validation"),
                "test": lambda: records("test"),
            },
            vocabularies=vocabularies,
            notes=notes,
            references=lambda split: [b for _, b in pairs(split)],
            file=archive.path,
        )

    return load


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    **dict.fromkeys(("multi30k", "multi30k_de_en"), _multi30k("de", "en")),
    "multi30k_en_de": _multi30k("en", "de"),
}
