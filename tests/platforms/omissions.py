"""What `python -m tests.platforms` leaves out, and why."""

from __future__ import annotations

from dataclasses import dataclass

ALL = frozenset({"macos", "windows", "python"})
STAND_INS = frozenset({"macos", "windows"})
WINDOWS = frozenset({"windows"})


@dataclass(frozen=True, slots=True)
class Omission:
    """Tests that do not run somewhere."""

    tests: tuple[str, ...]
    """Beginnings of names of tests, from the folder of the project on."""
    where: frozenset[str]
    """`macos`, `windows`, or `python` for another version of Python or of the dependencies."""
    reason: str

    def matches(self, test: str, where: str) -> bool:
        return where in self.where and test.startswith(self.tests)


OMISSIONS = (
    Omission(
        ("tests/benchmarks/",),
        ALL,
        "they measure, or count the calls of one Python on Linux",
    ),
    Omission(
        (
            "tests/test_browser",
            "tests/handlers/test_error_detail_browser.py",
            "tests/live/test_browser_page.py",
        ),
        ALL,
        "they look at pages in a browser, which does not depend on the system",
    ),
    Omission(
        ("tests/platforms/",),
        ALL,
        "they check the stand-ins, and run once",
    ),
    Omission(
        (
            "tests/cli/test_master.py",
            "tests/cli/test_workers.py",
            "tests/cache/test_workers.py",
            "tests/upstream/test_group_workers.py",
            "tests/live/test_page_handover.py",
            "tests/live/test_process.py",
        ),
        STAND_INS,
        "they need a master with workers",
    ),
)
