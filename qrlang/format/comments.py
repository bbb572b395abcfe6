"""The comments of a file, each handed out once, by the place where it stands."""

from __future__ import annotations

from bisect import bisect_left

from qrlang.syntax.ast import Comment


class Comments:
    def __init__(self, comments: tuple[Comment, ...]) -> None:
        self._left = sorted(comments, key=lambda c: c.span.start)
        self._starts = [c.span.start for c in self._left]

    def take(self, start: int, end: int) -> list[Comment]:
        """Those that start in a range, and were not taken before."""
        a, b = bisect_left(self._starts, start), bisect_left(self._starts, end)
        taken = self._left[a:b]
        del self._left[a:b], self._starts[a:b]
        return taken

    def any(self, start: int, end: int) -> bool:
        return bisect_left(self._starts, start) < bisect_left(self._starts, end)


def tidy(comment: Comment) -> str:
    """The text as it is printed: its own, without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in comment.text.replace("\r", "").split("\n"))


def moved(comment: Comment) -> str:
    """The text where the comment can't stay in its place: there `///` documents nothing, and must
    not come to document what it is put before."""
    text = tidy(comment)
    return "//" + text.lstrip("/") if text.startswith("///") else text


def is_line(comment: Comment) -> bool:
    """Whether it takes the rest of its line."""
    return comment.text.startswith(("//", "#")) or "\n" in comment.text
