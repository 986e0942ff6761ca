"""`random_index`, beside the system's nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare_nginx import served
from tests.handlers.filter_pair import SYSTEM, compare, get, needs_system_nginx
from tests.programs import OURS

LOCATIONS = """
    location / { random_index on; }
    location /listed/ { random_index on; autoindex on; root html/other; }
    location /off/ { random_index off; index a.txt; root html/only; }
"""


@needs_system_nginx
@pytest.mark.nginx
def test_a_single_file_is_served_as_by_nginx(tmp_path: Path) -> None:
    files = {"only/a.txt": b"text", "only/.hidden": b"x", "only/folder/b.txt": b"b"}
    for program in (OURS, SYSTEM):
        for folder in ("only/folder", "other/listed", "empty", "only/off"):
            (tmp_path / program.name / "html" / folder).mkdir(parents=True)
    requests = [
        get(path, method=method)
        for path in ("/only/", "/empty/", "/missing/", "/only/a.txt/", "/only/folder/", "/only")
        for method in ("GET", "HEAD", "POST", "PUT")
    ]
    compare(tmp_path, LOCATIONS, [*requests, get("/off/"), get("/only/?a=b")], SYSTEM, files=files)


def test_all_files_of_a_folder_are_served(tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    for number in range(3):
        (tmp_path / "html" / f"{number}.txt").write_text(str(number))
    (tmp_path / "html" / "dangling").symlink_to("missing")
    text = "server { listen 127.0.0.1:@PORT@; root html; location / { random_index on; } }"
    with served(OURS, tmp_path, text) as running:
        seen = {answer.body for answer in running.ask([get("/")] * 100)}
    assert seen == {"0", "1", "2"}
