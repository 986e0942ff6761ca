"""The peers of groups in memory that workers share (`zone`).

Each peer is a record, with its state and, if its name is resolved at run time, with its address. A
process has a `SharedPeer` for each record of a group (`shared_group`).

    next number │ generation of group 1 │ … │ expiry of name 1 │ … │ record 1 │ record 2 │ …

When peers are added or removed, the generation of their group changes, and a process makes its list
again. A request that was begun before gets no other peer, as in nginx.
"""

from __future__ import annotations

import enum
import socket
import struct
from dataclasses import dataclass

from ..shared_zone import SharedZone
from .selector import Peer

RECORD_SIZE = 512
_PAGE_SIZE = 4096
_NUMBER = struct.Struct("=Q")
_EXPIRY = struct.Struct("=q")
_IDENTITY = struct.Struct("=QHBBHHI16sB")
_NAME_SIZE = 255
_STATE = struct.Struct("=12q")
_STATE_OFFSET = 40
_NAME_OFFSET = _STATE_OFFSET + _STATE.size


class PeerList(enum.IntEnum):
    """The lists of a group."""

    PRIMARY = 1
    BACKUP = 2


@dataclass(slots=True, eq=False)
class SharedPeer(Peer):
    """A peer whose state is in shared memory."""

    slot: int = 0
    """The position of its record."""
    number: int = 0
    """The number of the record, which no other one ever has; 0 if it has none yet."""


@dataclass(frozen=True, slots=True)
class ResolvedAddress:
    """An address that a name has been resolved to."""

    host: str
    port: int = 0
    """The port of an SRV record; 0 for that of the `server`."""
    weight: int = 1
    priority: int = 0
    name: str = ""
    """The target of the SRV record."""


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What a record says about who the peer is."""

    slot: int
    number: int
    group: int
    listed: int
    version: int
    """4 or 6 for a resolved address, else 0."""
    origin: int
    """The position of a configured peer among those of its group, or of the `server` whose name
    was resolved."""
    port: int
    weight: int
    packed: bytes
    name: str

    @property
    def host(self) -> str:
        if self.version == 4:
            return socket.inet_ntop(socket.AF_INET, self.packed[:4])
        return socket.inet_ntop(socket.AF_INET6, self.packed)


class MemoryExhaustedError(Exception):
    """There is no room for another peer."""


class PeerMemory:
    """The memory of a `zone`."""

    def __init__(self, name: str, size: int, groups: int, hosts: int) -> None:
        """`size` is in bytes; `groups` and `hosts` are the numbers of groups and resolved names."""
        self.name = name
        self.capacity = max(size // _PAGE_SIZE - 6, 1) * 5
        """Number of records: about as many peers as nginx has room for."""
        self._next_slot = 0
        """Where the search for a free record begins."""
        self._generations = _NUMBER.size
        self._expiries = self._generations + groups * _NUMBER.size
        self._records = self._expiries + hosts * _EXPIRY.size
        self.zone = SharedZone(self._records + self.capacity * RECORD_SIZE)
        self._memory = self.zone.memory

    def close(self) -> None:
        """Give the memory back, in this process."""
        self.zone.close()

    # All that follows needs the lock.

    def generation(self, group: int) -> int:
        return int(_NUMBER.unpack_from(self._memory, self._generations + group * 8)[0])

    def change(self, group: int) -> None:
        """Note that the peers of a group have changed."""
        number = self.generation(group) + 1
        _NUMBER.pack_into(self._memory, self._generations + group * 8, number)

    def expiry(self, host: int) -> int:
        """When the addresses of a name expire, by the monotonic clock in whole seconds."""
        return int(_EXPIRY.unpack_from(self._memory, self._expiries + host * 8)[0])

    def set_expiry(self, host: int, seconds: int) -> None:
        _EXPIRY.pack_into(self._memory, self._expiries + host * 8, seconds)

    def records(self, group: int) -> list[PeerRecord]:
        """The records of a group, in the order of their addition."""
        found = []
        for slot in range(self.capacity):
            offset = self._offset(slot)
            number, owner, listed, version, origin, port, weight, packed, length = (
                _IDENTITY.unpack_from(self._memory, offset)
            )
            if listed and owner == group:
                start = offset + _NAME_OFFSET
                name = str(self._memory[start : start + length], "latin-1")
                record = PeerRecord(
                    slot, number, group, listed, version, origin, port, weight, packed, name
                )
                found.append(record)
        return sorted(found, key=lambda record: record.number)

    def add(
        self,
        group: int,
        listed: PeerList,
        origin: int,
        *,
        version: int = 0,
        packed: bytes = b"",
        port: int = 0,
        weight: int = 1,
        name: str = "",
    ) -> tuple[int, int]:
        """Add a record; returns its slot and number. Raises `MemoryExhaustedError`."""
        for step in range(self.capacity):
            slot = (self._next_slot + step) % self.capacity
            offset = self._offset(slot)
            if not _IDENTITY.unpack_from(self._memory, offset)[2]:
                break
        else:
            raise MemoryExhaustedError
        self._next_slot = slot + 1
        (last,) = _NUMBER.unpack_from(self._memory)
        _NUMBER.pack_into(self._memory, 0, last + 1)
        encoded = name.encode("latin-1")[:_NAME_SIZE]
        _STATE.pack_into(self._memory, offset + _STATE_OFFSET, 0, 0, 0, weight, *(0,) * 8)
        self._memory[offset + _NAME_OFFSET : offset + _NAME_OFFSET + len(encoded)] = encoded
        identity = (last + 1, group, listed, version, origin, port, weight, packed, len(encoded))
        _IDENTITY.pack_into(self._memory, offset, *identity)
        self.change(group)
        return slot, last + 1

    def remove(self, record: PeerRecord) -> None:
        """Remove a record."""
        self._memory[self._offset(record.slot) : self._offset(record.slot) + _IDENTITY.size] = (
            bytes(_IDENTITY.size)
        )
        self.change(record.group)

    def has(self, peer: SharedPeer) -> bool:
        """Whether the record of a peer still exists."""
        number = _NUMBER.unpack_from(self._memory, self._offset(peer.slot))[0]
        return bool(number == peer.number)

    def load(self, peer: SharedPeer) -> None:
        """Read the state of a peer."""
        (
            peer.connections,
            peer.fails,
            peer.current_weight,
            peer.effective_weight,
            peer.accessed,
            peer.checked,
            peer.header_time,
            peer.response_time,
            peer.inflight_time,
            peer.inflight_last,
            peer.inflight_changed,
            peer.inflight,
        ) = _STATE.unpack_from(self._memory, self._offset(peer.slot) + _STATE_OFFSET)

    def store(self, peer: SharedPeer) -> None:
        """Write the state of a peer."""
        _STATE.pack_into(
            self._memory,
            self._offset(peer.slot) + _STATE_OFFSET,
            peer.connections,
            peer.fails,
            peer.current_weight,
            peer.effective_weight,
            peer.accessed,
            peer.checked,
            peer.header_time,
            peer.response_time,
            peer.inflight_time,
            peer.inflight_last,
            peer.inflight_changed,
            peer.inflight,
        )

    def _offset(self, slot: int) -> int:
        return self._records + slot * RECORD_SIZE
