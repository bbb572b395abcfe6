"""The museum in a real browser, from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from museum_tools import folder

webdriver = pytest.importorskip("selenium.webdriver")

from browser_tools import becomes, contrast, headless  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from qrlang.museum.site import build  # noqa: E402


class Page:
    def __init__(self, driver: Any, site: Path) -> None:
        self.driver, self.site = driver, site
        self.address = (site / "index.html").as_uri()

    def open(self, fragment: str = "") -> Page:
        self.driver.get("about:blank")
        self.driver.get(self.address + fragment)
        return self

    def run(self, script: str) -> Any:
        return self.driver.execute_script("return " + script)

    def keys(self, *keys: str) -> None:
        for key in keys:
            webdriver.ActionChains(self.driver).send_keys(key).perform()
            self.driver.execute_async_script("requestAnimationFrame(() => arguments[0]())")

    def shown(self) -> list[str]:
        return list(self.run("[...document.querySelectorAll('.run')].map(x => x.id.slice(4))"))

    def focused(self) -> str:
        return str(self.run("document.activeElement.id"))

    def dialog(self) -> str | None:
        found = self.run("document.querySelector('dialog[open]')?.innerText")
        return None if found is None else str(found)

    def set(self, id: str, value: str) -> None:
        self.run(
            f"(() => {{ const x = document.getElementById({id!r}); x.value = {value!r}; "
            "x.dispatchEvent(new Event(x.tagName === 'SELECT' ? 'change' : 'input')); })()"
        )


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from headless(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("museum")
    runs = [
        folder(parent, "rows-0", value=0.91, parameters=900),
        folder(parent, "rows-1", value=0.95, seed=1, parameters=700),
        folder(parent, "lstm", core="lstm", value=0.97, lr=1e-2),
        folder(parent, "cut", finished=False),
        folder(parent, "words", model="<b>Language</b>", data="ptb", optimizer="spsa", value=0.4),
        folder(parent, "bare", strip=False, value=0.2),
    ]
    build([str(r) for r in runs], str(parent / "site"))
    return parent / "site"


@pytest.fixture
def page(driver: Any, site: Path) -> Iterator[Page]:
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    found = Page(driver, site).open()
    found.run("localStorage.clear()")
    found.open()
    driver.get_log("browser")
    yield found
    assert [x["message"] for x in driver.get_log("browser")] == []


def test_it_opens_from_disk(page: Page) -> None:
    assert page.shown() == ["rows-0", "rows-1", "lstm", "cut", "words", "bare"]
    assert page.run("document.getElementById('count').textContent") == "6 runs"
    card = page.run("document.getElementById('run-rows-1').textContent")
    assert "95.00 %" in card and "700 parameters" in card and "seed 1" in card
    assert "stopped" in page.run("document.getElementById('run-cut').textContent")
    assert page.run("document.querySelector('#run-bare svg path') !== null")
    pictures = "[...document.querySelectorAll('.run img')].slice(0, 3)"
    loaded = f"{pictures}.every(x => x.complete && x.naturalWidth > 0)"
    assert becomes(lambda: bool(page.run(loaded)))


def test_texts_of_runs_are_texts(page: Page) -> None:
    assert page.run("document.querySelector('main b b, main h2 b')") is None
    assert "<b>Language</b>" in page.run("document.getElementById('run-words').textContent")


def test_search_filters_and_order(page: Page) -> None:
    page.set("q", "seed 1")
    assert page.shown() == ["rows-1"]
    page.set("q", "LSTM 0.01")
    assert page.shown() == ["lstm"]
    page.set("q", "nothing like it")
    assert page.shown() == [] and page.run("document.getElementById('none').hidden") is False
    page.run("document.getElementById('clear2').click()")
    assert len(page.shown()) == 6
    page.set("core", "pqc")
    page.set("data", "mnist_rows")
    page.set("order", "value")
    assert page.shown() == ["rows-1", "rows-0", "bare", "cut"]
    address = page.run("location.hash")
    again = Page(page.driver, page.site).open(address)
    assert becomes(lambda: again.shown() == ["rows-1", "rows-0", "bare", "cut"])


def test_by_keyboard_alone(page: Page) -> None:
    page.keys("j", "j")
    assert page.focused() == "run-rows-1"
    page.keys("k", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.focused() == "run-lstm"
    page.keys(Keys.ENTER)
    assert "QRNN, lstm" in (page.dialog() or "")
    page.keys(Keys.ARROW_RIGHT)
    assert "QRNN, cut" in (page.dialog() or "")
    page.keys(Keys.ESCAPE)
    assert page.dialog() is None and page.focused() == "run-cut"
    page.keys("/", "s", "p", "s", "a")
    assert page.shown() == ["words"]
    page.keys(Keys.ESCAPE, "?")
    assert "side by side" in (page.dialog() or "")
    page.keys(Keys.ESCAPE)
    assert page.dialog() is None


def test_side_by_side(page: Page) -> None:
    page.keys("j", "c", "j", "c", "j", "c", "v")
    text = page.dialog() or ""
    assert "3 runs side by side" in text and "rows-0" in text and "lstm" in text
    paths = "document.querySelectorAll('#side .chart')[0].querySelectorAll('path').length"
    assert page.run(paths) == 6  # training and held out, of three
    cut = """[...document.querySelectorAll('#side .chart')].flatMap(chart =>
        [...chart.querySelectorAll('text')].filter(x => x.getBBox().x < 0)).length"""
    assert page.run(cut) == 0  # every figure beside an axis is whole
    differing = page.run(
        "[...document.querySelectorAll('#side tr.differs th')].map(x => x.textContent)"
    )
    assert {"value", "parameters", "seed", "core"} <= set(differing) and "data" not in differing
    assert "compare=rows-0%2Crows-1%2Clstm" in page.run("location.hash")
    page.keys(Keys.ESCAPE, "j", "c", "j", "c")  # no more than four
    assert page.run("document.querySelectorAll('#chosen li').length") == 4
    page.run("document.getElementById('empty').click()")
    assert page.run("document.getElementById('tray').hidden")


def test_links_lead_to_files_that_are_there(page: Page) -> None:
    page.keys("j", Keys.ENTER)
    links = page.run("[...document.querySelectorAll('#one .links a')].map(x => x.href)")
    assert len(links) == 4
    page.keys(Keys.ESCAPE)
    page.driver.get(next(x for x in links if x.endswith("program.txt")))
    assert "model QRNN" in page.run("document.body.innerText")


def test_dark_and_light(page: Page) -> None:
    wall = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.label h2')).color"
    colours = {}
    for scheme in ("light", "dark"):
        page.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        colours[scheme] = page.run(wall), page.run(ink)
        assert contrast(*colours[scheme]) > 7
        for quiet in (".facts", ".tag", ".figure b", "a, .tag.warn"):
            paper = page.run("getComputedStyle(document.querySelector('.run')).backgroundColor")
            colour = page.run(f"getComputedStyle(document.querySelector({quiet!r})).color")
            assert contrast(paper, colour) > 4.5, (scheme, quiet)
    assert colours["light"] != colours["dark"]
    page.keys("d")  # somebody prefers the other one, and finds it so again
    assert becomes(lambda: page.run(wall) == colours["light"][0])
    assert becomes(lambda: page.open().run(wall) == colours["light"][0])


def test_on_a_phone(page: Page) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    page.open()
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.keys("j", "c", "j", "c", "v")
    assert page.run("document.getElementById('side').getBoundingClientRect().right <= innerWidth")
    page.keys(Keys.ESCAPE, Keys.ENTER)
    assert page.run("document.getElementById('one').getBoundingClientRect().right <= innerWidth")
    small = page.run(
        "[...document.querySelectorAll('#filters button, #filters select')]"
        ".filter(x => x.getBoundingClientRect().height < 36).length"
    )
    assert small == 0  # large enough for a thumb


def test_five_hundred_runs(driver: Any, tmp_path: Path) -> None:
    for k in range(500):
        folder(tmp_path / "runs", f"run-{k}", seed=k % 5, value=(k * 37 % 500) / 500, n=2 + k % 7)
    build([str(tmp_path / "runs")], str(tmp_path / "site"))
    page = Page(driver, tmp_path / "site").open()
    assert becomes(lambda: len(page.shown()) == 500, 60)
    page.set("order", "value")
    values = page.run(
        "[...document.querySelectorAll('.figure b')].slice(0, 20).map(x => parseFloat(x.textContent))"
    )
    assert values == sorted(values, reverse=True)
    took = page.run(
        "(() => { const t = performance.now(); const q = document.getElementById('q');"
        "q.value = 'n=4'; q.dispatchEvent(new Event('input')); return performance.now() - t; })()"
    )
    assert 0 < len(page.shown()) < 500
    assert took < 500
    # What is far below has not been loaded.
    page.open()
    loaded = page.run("[...document.images].filter(x => x.complete && x.naturalWidth).length")
    assert loaded < 200
