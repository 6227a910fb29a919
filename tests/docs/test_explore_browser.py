"""The page on which one looks at a K in the plane, used in a browser: it draws, and says, what it is told to.

Skipped, visibly, where Selenium, Sphinx or a Chromium with its driver is missing.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    for name, of in (("selenium", "a browser's driver"), ("sphinx", "the docs extra")):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} ({of}) is not installed")
    if BROWSER is None or shutil.which("chromedriver") is None:
        pytest.skip("no Chromium with its driver is installed")
    spec = importlib.util.spec_from_file_location("lionk_site_explore", DOCS / "_site" / "explore.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.data()


@pytest.fixture(scope="module")
def page(data, tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    folder = tmp_path_factory.mktemp("explore")
    (folder / "_static").mkdir()
    shutil.copy(DOCS / "_static" / "explore.js", folder / "_static")
    numbers = "window.LIONK_EXPLORE = " + json.dumps(data) + ";"
    (folder / "_static" / "explore-data.js").write_text(numbers, encoding="utf-8")
    html = re.search(r"```\{raw\} html\n(.*?)```", (DOCS / "explore.md").read_text(encoding="utf-8"), re.DOTALL).group(
        1
    )
    (folder / "index.html").write_text(
        f"<!doctype html><meta charset=utf-8><style>svg {{ width: 460px; height: 460px }}</style>{html}",
        encoding="utf-8",
    )
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=900,900", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        browser.get((folder / "index.html").as_uri())
        yield browser
        assert not browser.get_log("browser"), "the page writes nothing into the console"
    finally:
        browser.quit()


def choose(page, name, text):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    Select(page.find_element(By.NAME, name)).select_by_visible_text(text)


def points(page, css):
    """The points of what is drawn, y up again; None where it is not drawn."""
    found = page.execute_script("return document.querySelector(arguments[0])?.getAttribute('points')", f"svg .{css}")
    return None if found is None else np.array([p.split(",") for p in found.split()], float) * (1, -1)


def said(page):
    return page.execute_script("return document.querySelector('output').textContent")


def test_every_function_is_drawn_with_its_set(page, data):
    for f in data["functions"]:
        choose(page, "K", f["name"])
        for lam in data["lams"]:
            choose(page, "lam", f"{lam:g}")
            domain = points(page, "domain")
            if f["domain"] is None:
                assert domain is None and "the whole plane" in said(page)
            else:
                np.testing.assert_allclose(domain, np.array(f["domain"]) / lam, atol=1e-9)
        assert f["formula"] in said(page)


def test_a_larger_weight_decay_makes_the_set_smaller_and_the_path_ends_in_it(page):
    choose(page, "K", "l1")
    for text in ("1", "2"):
        choose(page, "lam", text)
        reach, path = abs(points(page, "domain")).max(), points(page, "path")
        assert reach == pytest.approx(1 / float(text), abs=1e-3)
        assert abs(path[0]).max() > reach
        assert abs(path[-1]).max() <= reach + 0.02


def test_the_point_follows_pointer_and_keys(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    choose(page, "K", "l1")
    svg = page.find_element(By.TAG_NAME, "svg")
    ActionChains(page).move_to_element_with_offset(svg, -100, 150).click().perform()  # left of the middle, below it
    assert "the update is dK(m) = (-1.00, -1.00)" in said(page)
    before = said(page)
    svg.send_keys(Keys.ARROW_RIGHT * 3)
    assert said(page) != before
    svg.send_keys(Keys.ARROW_RIGHT * 7)  # onto the axis: the shortest subgradient is 0 there
    assert "dK(m) = (0.00, -1.00)" in said(page)


def test_boxes_hide_what_they_name(page):
    from selenium.webdriver.common.by import By

    choose(page, "K", "l2")
    for name, css in (("domain", "domain"), ("ball", "ball"), ("path", "path")):
        box = page.find_element(By.NAME, name)
        for _ in range(2):
            assert (points(page, css) is not None) == box.is_selected()
            box.click()
