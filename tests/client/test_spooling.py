"""Which request bodies are written to files, and the names of the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.client.request_body import (
    BUFFERED_TO_FILE,
    BodyBufferPolicy,
    BufferedBody,
    body_buffer_policy,
)
from sniproxy.config.directives.core import CLEAN, KEEP, CoreLocation
from sniproxy.models import ProxyError
from sniproxy.temp_files import in_levels
from tests.configured import request
from tests.upstream.fakes import Lines


@pytest.mark.parametrize(
    ("number", "levels", "name"),
    [
        (1, (), "0000000001"),
        (123457, (1, 2), "7/45/0000123457"),
        (12, (2, 2, 2), "12/00/00/0000000012"),
    ],
)
def test_temporary_file_names(number: int, levels: tuple[int, ...], name: str) -> None:
    assert in_levels(f"{number:010d}", levels) == name


@given(st.integers(0, 30_000), st.integers(1, 10_000), st.integers(0, 1000))
def test_body_of_up_to_a_quarter_more_than_the_buffer_stays_in_memory(
    length: int, size: int, come: int
) -> None:
    come = min(come, length)
    core = CoreLocation.resolve({"client_body_buffer_size": size})
    how = body_buffer_policy(request("/", content_length=length), core, "/p", come)
    assert (how.memory is None) is (length - come < size + size // 4)


@pytest.mark.parametrize(("only", "stays"), [(KEEP, True), (CLEAN, False)])
def test_in_file_only_writes_all_bodies_to_files(tmp_path: Path, only: int, stays: bool) -> None:
    core = CoreLocation.resolve(
        {"client_body_in_file_only": only, "client_body_temp_path": ("bodies", (1,))}
    )
    how = body_buffer_policy(request("/", content_length=1), core, str(tmp_path), 0)
    lines = Lines()
    body = BufferedBody(how, lines.log())
    body.write(b"x")
    assert body.file_name is not None
    assert lines.lines == [f"{BUFFERED_TO_FILE} {body.file_name}"]
    assert body.held is None
    file = Path(body.file_name)
    assert file.parent.parent == tmp_path / "bodies"
    body.close()
    body.close()
    assert file.exists() is stays
    if stays:
        assert file.read_bytes() == b"x"


def test_missing_temp_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProxyError, match='" failed'):
        BodyBufferPolicy(0, str(tmp_path / "file")).make_file()
