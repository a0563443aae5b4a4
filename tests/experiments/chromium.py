"""Headless Chromium for the tests of pages, with what it fetched and complained about."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1400,1000",
    "--disable-dev-shm-usage",
)  # fmt: skip
READY_S = 60


def needs_chromium() -> tuple[str, str]:
    """Return the paths of browser and driver; skip, or fail in CI, where one is missing."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        reason = "chromium and chromedriver are not installed: make browser-tools"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return str(found[0]), str(found[1])


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start Chromium with an empty profile; end it afterwards."""
    browser, driver = needs_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # the driver's path is given, so that selenium looks for none to download
    page = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield page
    finally:
        page.quit()


def open_page(page: webdriver.Chrome, path: Path) -> None:
    """Open a report, and wait until its script has drawn everything."""
    page.get("about:blank")
    page.get(path.resolve().as_uri())
    wait_for(page, "return document.body.dataset.ready === 'true'")


def wait_for(page: webdriver.Chrome, script: str, *arguments: Any) -> Any:
    """Return what a script returns as soon as it is true; fail after a minute."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        found = page.execute_script(script, *arguments)
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never true: {script}\n{page.get_log('browser')}")


def complaints(page: webdriver.Chrome) -> list[str]:
    """Return what the console said since the last call."""
    return [entry["message"] for entry in page.get_log("browser")]


def fetched(page: webdriver.Chrome) -> list[str]:
    """Return what pages from files asked for since the last call, the files themselves apart."""
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [p["request"]["url"] for p in asked if p["documentURL"].startswith("file:")]
    return [url for url in urls if not url.startswith(("file:", "data:"))]
