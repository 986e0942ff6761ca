"""Makes the pictures of the live page in docs/images: `python -m tests.live.screenshot`.

It serves configs/site.toml as it is (its ports have to be free), sends requests, and lets Chromium
look at the page.
"""

from __future__ import annotations

import http.client
import ssl
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import sniproxy
from tests.live.browser import CHROMIUM, FLAGS

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "images"
PATHS = ("/", "/with-sni/", "/with-sni/cart?item=7&token=s3cr3t", "/without-sni/", "/with-sni/api")


def request(port: int, path: str) -> None:
    """Send a request to the site, as a browser would without knowing its CA."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = http.client.HTTPSConnection("localhost", port, context=context)
    client.request("GET", path)
    client.getresponse().read()
    client.close()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    config = ROOT / "configs" / "site.toml"
    with (
        tempfile.TemporaryDirectory() as state,
        sniproxy.serve_in_thread(config, live=True, state=state) as proxy,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, scheme, opens in (("live.png", "light", True), ("live-dark.png", "dark", False)):
            page = browser.new_page(
                viewport={"width": 1280, "height": 760},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            assert proxy.live_url is not None
            page.goto(proxy.live_url)
            for path in PATHS:
                request(proxy.addresses[0][1], path)
            row = page.locator(".row.bad", has_text="/without-sni/").first
            row.wait_for()
            if opens:
                row.click()
                page.wait_for_selector("#detail h2")
            page.locator(".row", has_text="/with-sni/api").first.wait_for()
            page.screenshot(path=FOLDER / name)
        browser.close()


if __name__ == "__main__":
    main()
