"""Makes the pictures of the 502 page in docs/images: `python -m tests.screenshot`.

It serves configs/site.toml as it is (its ports have to be free) and lets Chromium look at the 502:
on a desktop, light and dark, and on a phone 390 pixels wide.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import sniproxy
from tests.browser import chromium

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "images"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page, in a window of this size."""

    name: str
    width: int
    height: int
    arguments: tuple[str, ...] = ()


DARK = "--blink-settings=preferredColorScheme=0"
PICTURES = (
    Picture("502.png", 900, 1250),
    Picture("502-dark.png", 900, 1250, (DARK,)),
    Picture("502-phone.png", 390, 1500),
)


def take(url: str, picture: Picture, file: Path, home: Path) -> None:
    """Save a picture of the page."""
    chromium(
        home,
        "--hide-scrollbars",
        "--ignore-certificate-errors",
        f"--window-size={picture.width},{picture.height}",
        f"--screenshot={file}",
        *picture.arguments,
        url,
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        sniproxy.serve_in_thread(ROOT / "configs" / "site.toml", state=state) as proxy,
    ):
        for picture in PICTURES:
            url = f"{proxy.urls[0]}/without-sni/"
            take(url, picture, FOLDER / picture.name, Path(state))


if __name__ == "__main__":
    main()
