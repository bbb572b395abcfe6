"""The film of a run in a real browser, from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("torch")
pytest.importorskip("safetensors")

from browser_tools import becomes, contrast, headless, scheme  # noqa: E402
from cli_tools import qrlc  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from trace_tools import traced  # noqa: E402

STEPS = ["step 0", "step 3", "step 5", "step 8"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from headless(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = traced(tmp_path_factory.mktemp("film"), "--lr", 0.5)
    done = qrlc("draw", run, "--animate", "--frames", 4)
    assert done.code == 0, done.err
    return run / "film.html"


@pytest.fixture
def film(driver: Any, made: Path) -> Iterator[Any]:
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    scheme(driver, "light")
    driver.get(made.as_uri())
    driver.get_log("browser")
    yield driver
    assert [x["message"] for x in driver.get_log("browser")] == []


def said(film: Any) -> str:
    return str(film.execute_script("return document.getElementById('said').textContent"))


def drawn(film: Any) -> str:
    """All of the picture as it stands there. A line that is not dashed may say so, or not."""
    text = str(film.execute_script("return document.querySelector('svg').innerHTML"))
    return text.replace(' stroke-dasharray="none"', "")


def press(film: Any, *keys: str) -> None:
    for key in keys:
        webdriver.ActionChains(film).send_keys(key).perform()


def focus(film: Any, id: str) -> None:
    film.execute_script(f"document.getElementById({id!r}).focus()")


def test_every_step_is_another_picture(film: Any) -> None:
    assert said(film) == STEPS[-1]
    last = drawn(film)
    focus(film, "at")
    press(film, Keys.HOME)
    seen = {}
    for step in STEPS:
        assert becomes(lambda step=step: said(film) == step)
        seen[step] = drawn(film)
        assert f"Tiny at {step} of 8" in seen[step]
        press(film, Keys.ARROW_RIGHT)
    assert len(set(seen.values())) == len(STEPS) and seen[STEPS[-1]] == last
    press(film, Keys.ARROW_LEFT)  # back again it is what it was
    assert said(film) == STEPS[-2] and drawn(film) == seen[STEPS[-2]]
    # What one sees changes, not only what is written: pictures of the screen differ.
    shots = set()
    for key in (Keys.HOME, Keys.END):
        press(film, key)
        shots.add(film.find_element("tag name", "svg").screenshot_as_base64)
    assert len(shots) == 2


def test_it_plays_pauses_and_goes_on(film: Any) -> None:
    button = film.find_element("id", "play")
    assert (button.text, button.get_attribute("aria-pressed")) == ("Play", "false")
    focus(film, "play")
    press(film, Keys.SPACE)
    assert (button.text, button.get_attribute("aria-pressed")) == ("Pause", "true")
    assert becomes(lambda: said(film) not in (STEPS[0], STEPS[-1]))
    press(film, Keys.ENTER)
    assert button.text == "Play"
    held = said(film)
    film.execute_async_script("setTimeout(arguments[0], 1000)")  # longer than two frames
    assert said(film) == held
    press(film, Keys.SPACE)
    assert becomes(lambda: said(film) == STEPS[-1] and button.text == "Play")
    assert film.find_element("id", "at").get_attribute("value") == "3"


def test_the_slider_stops_it(film: Any) -> None:
    film.find_element("id", "play").click()
    focus(film, "at")
    press(film, Keys.HOME)
    assert film.find_element("id", "play").text == "Play" and said(film) == STEPS[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out(film: Any, theme: str) -> None:
    scheme(film, theme)
    colours = film.execute_script("""
        const of = (x, what) => getComputedStyle(x)[what];
        const words = [...document.querySelectorAll("svg text")].filter(x => x.textContent.trim());
        return {
          ground: of(document.querySelector("rect.f-ground"), "fill"),
          words: [...new Set(words.map(x => of(x, "fill")))],
          page: of(document.body, "backgroundColor"),
          said: of(document.getElementById("said"), "color"),
        };""")
    assert len(colours["words"]) >= 4
    for colour in colours["words"]:
        assert contrast(colours["ground"], colour) > 4.4, (theme, colour)
    assert contrast(colours["page"], colours["said"]) > 7
    assert (contrast(colours["ground"], "rgb(0, 0, 0)") > 10) == (theme == "light")


def test_on_a_phone(film: Any, made: Path) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    film.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    film.get(made.as_uri())
    assert film.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    play = film.execute_script("return document.getElementById('play').getBoundingClientRect()")
    assert play["right"] <= 360 and play["height"] >= 36
