"""What is counted of the processes of a proxy, and the slope of what was counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
_ESTABLISHED = "01"


@dataclass(frozen=True, slots=True)
class Sample:
    """Figures of all processes together, at a moment without traffic."""

    at: float
    """Seconds since the start."""
    memory: int
    """Bytes: PSS without files, that is pages of data; shared ones are divided among processes."""
    descriptors: int
    """Without connections to clients and upstreams."""
    tasks: int
    """Of trio."""
    connections: int
    """Established: those to upstreams that are kept, since there is no client."""
    requests: int
    """Exchanges of the clients until now."""


def processes_of(pid: int) -> list[int]:
    """`pid` and all processes below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in processes_of(int(child)))]


def memory(pids: Iterable[int]) -> int:
    """The memory of `Sample`.

    Pages of libraries are left out: their share depends on what other programs use them.
    """
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def descriptors(pids: Iterable[int]) -> tuple[int, int]:
    """The number of descriptors that are no established connections, and of those that are."""
    established = _established_inodes()
    connections = others = 0
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.removeprefix("socket:[").removesuffix("]") in established:
                connections += 1
            else:
                others += 1
    return others, connections


def _established_inodes() -> set[str]:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {one[9] for one in fields if one[3] == _ESTABLISHED}


def tasks(folder: Path, pids: Iterable[int]) -> int:
    """What `tests.soak.counted` has written."""
    files = (folder / f"tasks.{pid}" for pid in pids)
    return sum(int(file.read_text()) for file in files if file.exists())


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through samples, by least squares."""

    per_hour: float
    error: float
    """The standard error of `per_hour`."""


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The slope of values over seconds; 0 for fewer than 3 points."""
    count = len(points)
    if count < 3:
        return Slope(0.0, float("inf"))
    middle = sum(x for x, _ in points) / count
    height = sum(y for _, y in points) / count
    spread = sum((x - middle) ** 2 for x, _ in points)
    rise = sum((x - middle) * (y - height) for x, y in points) / spread
    rest = sum((y - height - rise * (x - middle)) ** 2 for x, y in points)
    error = (rest / (count - 2) / spread) ** 0.5
    return Slope(rise * 3600, error * 3600)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The slope of a figure, and what is allowed."""

    name: str
    unit: str
    first: float
    last: float
    slope: Slope
    most: float
    """What `slope` may be at most, for an hour."""
    is_count: bool
    """Counts are whole numbers: a rise of less than half of one over the whole time is none, nor is
    one within two standard errors."""
    hours: float

    @property
    def is_held(self) -> bool:
        rise = self.slope.per_hour
        if self.is_count:
            certain = rise - 2 * self.slope.error
            return (certain - self.most) * self.hours < 0.5
        return rise <= self.most

    def __str__(self) -> str:
        return (
            f"{self.name:<12} {self.first:>10.1f} {self.last:>10.1f} {self.slope.per_hour:>+11.2f}"
            f" ±{self.slope.error:<8.2f} {self.most:>8g} {self.unit:<4}"
            f" {'held' if self.is_held else 'NOT HELD'}"
        )


HEADER = f"{'':<12} {'first':>10} {'last':>10} {'per hour':>11}  {'error':<8} {'at most':>8}"


def verdicts(samples: Sequence[Sample], most: Mapping[str, float]) -> list[Verdict]:
    """Judge samples that were taken after the warm-up. `most` is by name of a field."""
    found = []
    hours = (samples[-1].at - samples[0].at) / 3600
    for name in ("memory", "descriptors", "tasks"):
        unit = MIB if name == "memory" else 1
        points = [(one.at, getattr(one, name) / unit) for one in samples]
        found.append(
            Verdict(
                name,
                "MiB" if name == "memory" else "",
                points[0][1],
                points[-1][1],
                slope(points),
                most.get(name, 0.0),
                name != "memory",
                hours,
            )
        )
    return found
