"""The line that people watch."""

from __future__ import annotations

import io

import pytest

from qrlang.training.progress import Moment, Screen, duration

AT = Moment(30, 100, 1, 4, {"loss": 0.5, "accuracy": 0.75}, 1234.0, 200.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_changes() -> None:
    stream = Terminal()
    screen = Screen(stream, width=120)
    screen.updated(AT)
    text = stream.getvalue()
    assert text.startswith("\r") and "\n" not in text and "█" in text
    for word in ("epoch 1/4", "step 30/100", "loss 0.5000", "accuracy 75.00 %",
                 "1234 sequences/s", "3:20 left"):  # fmt: skip
        assert word in text
    screen.updated(AT)  # too soon: nothing
    assert stream.getvalue() == text
    screen.evaluated(AT, "validation", AT.figures)
    assert stream.getvalue().endswith("validation: loss 0.5000  accuracy 75.00 %\n")


@pytest.mark.parametrize("width", [20, 60, 100, 300])
def test_a_line_fits_the_terminal(width: int) -> None:
    stream = Terminal()
    Screen(stream, width=width).updated(AT)
    assert len(stream.getvalue().replace("\r\x1b[2K", "")) <= width


def test_elsewhere_there_are_plain_lines() -> None:
    stream = io.StringIO()
    screen = Screen(stream, every=0.0)
    screen.updated(AT)
    screen.note("a note")
    assert stream.getvalue().count("\n") == 2
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_durations() -> None:
    assert [duration(s) for s in (4.4, 59.4, 60, 187, 7384)] == [
        "4 s", "59 s", "1:00", "3:07", "2:03:04"
    ]  # fmt: skip
