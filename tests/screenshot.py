"""Makes docs/images/502.png, the picture in the README: `python -m tests.screenshot`.

It serves configs/site.toml as it is (its ports have to be free) and lets Chromium look at the 502.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import sniproxy

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "502.png"
SIZE = "900,1170"
"""Of the window, as wide as is pleasant to read and as high as the page."""


def main() -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        sniproxy.serve_in_thread(ROOT / "configs" / "site.toml", state=state) as proxy,
    ):
        subprocess.run(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--ignore-certificate-errors",
                f"--user-data-dir={state}/profile",
                f"--window-size={SIZE}",
                f"--screenshot={PICTURE}",
                f"{proxy.urls[0]}/without-sni/",
            ],
            check=True,
        )


if __name__ == "__main__":
    main()
