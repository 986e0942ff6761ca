"""The tests that `python -m tests.platforms` leaves out, with the reasons."""

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
            "tests/cli/test_process.py::test_in_the_background",
            "tests/cache/test_workers.py",
            "tests/upstream/test_group_workers.py",
            "tests/live/test_page_handover.py",
            "tests/live/test_process.py",
        ),
        STAND_INS,
        "they need a master with workers",
    ),
    Omission(
        (
            *(
                f"tests/cli/test_signals.py::test_{name}"
                for name in ("stop", "reload", "a_bad", "the_pid", "a_log", "more")
            ),
            "tests/cli/test_process.py",
            "tests/soak/test_short.py",
        ),
        WINDOWS,
        "they send signals that Windows lacks",
    ),
    Omission(
        (
            "tests/cli/test_ca.py::test_without_a_terminal",
            "tests/cli/test_ca.py::test_the_question",
            "tests/cli/test_reverse.py::test_a_browser_trusts_it",
        ),
        STAND_INS,
        "they change the store of certificates that browsers have on Linux",
    ),
    Omission(
        (
            *(
                f"tests/robustness/test_{name}.py"
                for name in ("process_faults", "descriptors", "full_disk", "network_faults")
            ),
            "tests/robustness/test_many_slow_clients.py",
            "tests/robustness/test_nothing_left.py::test_accept_without_free_descriptors",
            "tests/robustness/test_configurations.py::test_odd_configuration_is_accepted_or_"
            "rejected_in_one_line[includes-a-pipe",
            "tests/robustness/test_configurations.py::test_ten_thousand_nested_locations",
        ),
        WINDOWS,
        "they make faults by the means of Linux, or with files that Windows lacks",
    ),
)
