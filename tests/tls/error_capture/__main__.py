from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path

from . import failures, starts
from .words import words


def main() -> None:
    files = Path(sys.argv[1])
    cases = chain(failures.all_failures(files), starts.all_failures(files), failures.damaged(files))
    provoked = {name: provoke() for name, provoke in cases}
    json.dump({**words(), "provoked": provoked}, sys.stdout)


if __name__ == "__main__":
    main()
