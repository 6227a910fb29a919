"""The page of the history, opened in a real browser from the disk: every library and number comes along with it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
COUNTS = "#counts.track_step_calls"


def site():
    """The module of the site that makes the page."""
    if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("asv") is None:
        pytest.skip("Sphinx and asv are of the docs and bench extras; .ci/run installs both")
    spec = importlib.util.spec_from_file_location("lionk_site_history", ROOT / "docs" / "_site" / "history.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_kept_history_is_of_twenty_commits_and_small():
    files = sorted((ROOT / "asv_bench" / "results").glob("*/*-*.json"))
    kept = [json.loads(p.read_text(encoding="utf-8")) for p in files]
    assert len({k["commit_hash"] for k in kept if "counts.track_step_calls" in k["results"]}) >= 20
    assert all(p.name.startswith(k["commit_hash"][:8]) for p, k in zip(files, kept, strict=True))
    for k in kept:
        assert k["params"]["machine"]
        assert {n.partition(".")[0] for n in k["results"]} <= {"counts", "ratios", "scenes"}
    assert sum(p.stat().st_size for p in files) < 2_000_000


def test_what_asv_loads_from_elsewhere_is_replaced(tmp_path):
    history = site()
    www = Path(importlib.util.find_spec("asv").submodule_search_locations[0]) / "www"
    shutil.copytree(www, tmp_path / "history")
    (tmp_path / "history" / "index.json").write_text('{"project": "lionk"}')
    history.local(tmp_path / "history")
    page = (tmp_path / "history" / "index.html").read_text()
    assert 'src="https:' not in page
    assert 'rel="stylesheet" href="https:' not in page
    assert page.count(history.LOCAL) == 10
    assert '"index.json": {"project": "lionk"}' in (tmp_path / "history" / "numbers.js").read_text()


def test_a_build_without_the_history_says_why(tmp_path):
    history = site()
    assert "no clone" in history.why_not(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="no Chromium, or no chromedriver: apt-get install chromium-driver"
)
def test_the_page_shows_the_history_in_a_browser(tmp_path):
    history = site()
    if reason := history.why_not(ROOT):
        pytest.skip(f"the page cannot be made: {reason}")
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    shutil.copytree(ROOT / "docs" / "_static", tmp_path / "_static")
    history.publish(ROOT, tmp_path / "history")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1400,1000",
        "--proxy-server=localhost:9",
    ):
        options.add_argument(flag)  # a proxy that nobody serves: what is not on the disk cannot be loaded
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        page = (tmp_path / "history" / "index.html").as_uri()

        def shown(view, script):
            driver.get("about:blank")
            driver.get(page + view)
            return WebDriverWait(driver, 60).until(lambda d: d.execute_script(f"return {script}"))

        assert shown("#/summarylist", "$('#summarylist-body table tbody tr').length > 60")
        assert shown("", "$('.benchmark-text').length > 60")
        points = "$('#main-graph').data('plot') && $('#main-graph').data('plot').getData().map(s => s.data.length)"
        assert max(shown(COUNTS, points)) >= 20
        assert max(shown("#scenes.Scene.track_ratio", points)) >= 15
        assert not driver.execute_script("return $('#error').is(':visible')")
        driver.save_screenshot(str(tmp_path / "page.png"))
        severe = [m["message"] for m in driver.get_log("browser") if m["level"] == "SEVERE"]
        assert not severe, severe
    finally:
        driver.quit()


def test_the_instruments_of_asv_load_what_they_name():
    """The benchmarks import; each count that is recorded has one."""
    code = (
        "import benchmarks.counts as c, benchmarks.ratios, benchmarks.scenes;"
        "print(len([n for n in vars(c) if n.startswith('track_')]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "asv_bench", capture_output=True, text=True, check=True
    )
    assert int(run.stdout) > 50
