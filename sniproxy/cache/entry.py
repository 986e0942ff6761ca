"""One request's view of a cache: look up a response, wait for another request, store one.

nginx's `ngx_http_cache_t` and `ngx_http_file_cache.c`.
"""

from __future__ import annotations

import enum
import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from ..logs.error import ConnectionLog
from ..models import Failure, Header, Level
from ..system import O_BINARY, O_CLOEXEC, READ, disk_size, read_at, write_at
from .file_format import HEADER_SIZE, MAX_VARY, NO_TIME, VERSION, CacheFileHeader, vary_length
from .key import CacheKey
from .store import ResponseCache, TempFolder, TemporaryResponse
from .validity import CacheValidity
from .vary import variant_of
from .zone import Presence

SMALL_FILE = 65536
"""Bytes of a file that is read at once."""
POLL_INTERVAL = 0.5
"""Seconds between two looks at an entry that another request updates."""


class CacheLookup(enum.Enum):
    """The result of a lookup."""

    HIT = enum.auto()
    STALE = enum.auto()
    """The response has expired, and this request is to update it."""
    UPDATING = enum.auto()
    """The response has expired, and another request updates it."""
    MISS = enum.auto()
    SCARCE = enum.auto()
    """It is not stored: not requested often enough, or another request takes too long."""
    ERROR = enum.auto()
    """An error is stored: `CacheEntry.error`."""
    FAILED = enum.auto()
    """The file could not be opened."""


@dataclass(frozen=True, slots=True)
class EntryRules:
    """The directives of a location that concern one entry. Times are in seconds."""

    min_uses: int
    lock: bool
    lock_timeout: float
    lock_age: float
    buffer_size: int
    """`proxy_buffer_size`: the maximum size of key and head."""
    temp_folder: TempFolder
    """`proxy_temp_path`."""


class CachedFile:
    """An open cache file."""

    def __init__(
        self,
        name: str,
        descriptor: int,
        header: CacheFileHeader,
        head: bytes,
        size: int,
        body: bytes | None = None,
    ) -> None:
        self.name = name
        self.descriptor = descriptor
        self.header = header
        self.head = head
        """The response head as the upstream sent it."""
        self.size = size
        """Bytes of the file."""
        self.body = body
        """The body, if the file is small; else it is to be read from the file."""

    def take_descriptor(self) -> int:
        """The descriptor, which the caller closes."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class CacheEntry:
    """The entry of one request."""

    def __init__(
        self,
        cache: ResponseCache,
        key: CacheKey,
        rules: EntryRules,
        headers: Sequence[Header],
        log: ConnectionLog,
    ) -> None:
        """`headers` are those of the request."""
        self.cache = cache
        self.key = key
        self.rules = rules
        self.file: CachedFile | None = None
        self.error = 0
        """The status of a stored error."""
        self.may_send_while_updating = False
        """Whether `stale-while-revalidate` allows it."""
        self.may_send_after_error = False
        """Whether `stale-if-error` allows it."""
        self._headers = headers
        self._log = log
        self._digest = key.digest
        self._is_variant = False
        self._lock: float | None = None
        """Identifies the update of the entry that this request has begun."""
        self._lock_timeout = rules.lock_timeout
        self._ended = False

    # --- look up ---

    async def look_up(self) -> CacheLookup:
        """Look up the response; wait for another request if `proxy_cache_lock` says so."""
        deadline = trio.current_time() + self._lock_timeout
        while True:
            found = self._look_up()
            if found is not None:
                return found
            while True:
                left = deadline - trio.current_time()
                if left <= 0:
                    self._log.write(Level.INFO, "cache lock timeout")
                    self._lock_timeout = 0
                    break
                await trio.sleep(min(left, POLL_INTERVAL))
                if not self.cache.zone.is_updated(self._digest, time.monotonic()):
                    break

    def _look_up(self) -> CacheLookup | None:
        """As `look_up`; None if the request has to wait."""
        cache, rules = self.cache, self.rules
        zone = cache.zone
        now = int(time.time())
        state = zone.look_up(self._digest, rules.min_uses, now, cache.inactive)
        if zone.evicted:
            cache.remove_evicted()
        limit = rules.buffer_size
        outcome = CacheLookup.MISS
        if state.presence is Presence.SCARCE:
            return CacheLookup.SCARCE
        if state.presence is Presence.KNOWN:
            if state.error:
                self.error = state.error
                return CacheLookup.ERROR
            test = state.exists
            limit = state.body_start or limit
        else:
            test = state.is_cold
            if rules.min_uses > 1:
                if not test:
                    return CacheLookup.SCARCE
                outcome = CacheLookup.SCARCE
        if test:
            found = self._open(limit, now, is_known=state.exists)
            if found is not None:
                return found
        if outcome is CacheLookup.MISS and rules.lock:
            return self._begin_update()
        return outcome

    def _begin_update(self) -> CacheLookup | None:
        now = time.monotonic()
        self._lock = self.cache.zone.begin_update(self._digest, now, self.rules.lock_age)
        if self._lock is not None:
            return CacheLookup.MISS
        return None if self._lock_timeout else CacheLookup.SCARCE

    def _open(self, limit: int, now: int, *, is_known: bool) -> CacheLookup | None:
        """Open the file of the entry; None if there is none that can be used.

        `is_known` is whether the index has it.
        """
        name = self.cache.file_of(self._digest)
        try:
            descriptor = os.open(os.fsencode(name), READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            failure = Failure(f'open() "{name}" failed', Level.CRIT, errno=error.errno)
            self._log.write_failure(failure)
            return CacheLookup.FAILED
        try:
            file = self._read(name, descriptor, limit)
        except OSError as error:
            # nginx opens no folder, and reads from nothing.
            number = errno.EBADF if error.errno == errno.EISDIR else error.errno
            failure = Failure(f'pread() "{name}" failed', Level.CRIT, errno=number)
            self._log.write_failure(failure)
            os.close(descriptor)
            return CacheLookup.FAILED
        except BaseException:
            os.close(descriptor)
            raise
        if file is None:
            os.close(descriptor)
            return None
        header = file.header
        if header.vary:
            variant = variant_of(self.key.digest, header.vary, self._headers)
            if variant != header.variant:
                file.close()
                return self._open_variant(name, variant)
        self.file = file
        zone = self.cache.zone
        if not is_known:
            size = disk_size(os.fstat(descriptor))
            zone.add_file(
                self._digest, size, now + self.cache.inactive, body_start=header.body_start
            )
        if header.valid_until >= now:
            return CacheLookup.HIT
        self.may_send_while_updating = header.valid_until + header.updating >= now
        self.may_send_after_error = header.valid_until + header.error >= now
        self._lock = zone.begin_refresh(self._digest)
        return CacheLookup.UPDATING if self._lock is None else CacheLookup.STALE

    def _open_variant(self, name: str, variant: bytes) -> CacheLookup | None:
        """The file is for requests with other fields: look for the one for this request."""
        if self._is_variant:
            self._log.write(Level.CRIT, f'cache file "{name}" has incorrect vary hash')
            return None
        self.cache.zone.end_update(self._digest, None, self.rules.min_uses)
        self._is_variant = True
        self._digest = variant
        return self._look_up()

    def _read(self, name: str, descriptor: int, limit: int) -> CachedFile | None:
        """Read the header; None if the file is not one of this key, which is logged."""
        size = os.fstat(descriptor).st_size
        # A small file is read at once: a second read costs more than the copy of its body.
        whole = size if size <= SMALL_FILE else 0
        data = read_at(descriptor, max(limit, whole), 0)
        content, data = data, data[:limit]
        problem, level = "", Level.CRIT
        if len(data) < max(self.key.head_start, HEADER_SIZE):
            problem = "is too small"
        else:
            header = CacheFileHeader.unpack(data)
            if header.version != VERSION:
                problem, level = "version mismatch", Level.INFO
            elif (
                header.crc32 != self.key.crc32
                or header.head_start != self.key.head_start
                or data[HEADER_SIZE : header.head_start] != self.key.line
            ):
                problem = "has md5 collision"
            elif header.body_start > limit:
                problem = "has too long header"
            elif vary_length(data) > MAX_VARY:
                problem = "has incorrect vary length"
            else:
                head = data[header.head_start : header.body_start]
                body = content[header.body_start :] if whole else None
                return CachedFile(name, descriptor, header, head, size, body)
        self._log.write(level, f'cache file "{name}" {problem}')
        return None

    # --- store ---

    def create(self) -> None:
        """Enter a key that was not looked up, because of `proxy_cache_bypass`."""
        cache = self.cache
        cache.zone.look_up(self._digest, self.rules.min_uses, int(time.time()), cache.inactive)
        cache.remove_evicted()

    def new_file(
        self,
        head: bytes,
        validity: CacheValidity,
        valid_until: int,
        last_modified: int | None,
        etag: str,
    ) -> TemporaryResponse:
        """Begin to store a response with the head `head`, as the upstream sent it.

        Raises `BodyReadError`, after the reason was logged.
        """
        now = time.time()
        header = CacheFileHeader(
            valid_until,
            validity.updating,
            validity.error,
            NO_TIME if last_modified is None else last_modified,
            int(now),
            self.key.crc32,
            int(now * 1000) % 1000,
            self.key.head_start,
            self.key.head_start + len(head),
            etag.encode("latin-1"),
            validity.vary,
        )
        if validity.vary:
            header.variant = variant_of(self.key.digest, validity.vary, self._headers)
        if self._is_variant and header.variant != self._digest:
            # The response is no longer what was looked up: store it under the key itself.
            self.end()
            self._ended = False
            self._is_variant = False
            self._digest = self.key.digest
            self.create()
        self._body_start = header.body_start
        folder = self.rules.temp_folder if self.cache.use_temp_path else None
        file = TemporaryResponse(folder, self.cache.file_of(self._digest), self._log)
        file.write(header.pack() + self.key.line + head)
        return file

    def finish(self, file: TemporaryResponse) -> None:
        """The file is complete: requests are answered from it from now on."""
        size = file.rename()
        if size:
            self.cache.zone.finish_update(self._digest, self._body_start, size)
            self.cache.remove_evicted()
            self._ended = True
        else:
            self.end()

    def extend(self, validity: CacheValidity, valid_until: int) -> None:
        """The stored response was validated: write its new times to the file."""
        assert self.file is not None
        header = self.file.header
        header.valid_until, header.date = valid_until, int(time.time())
        header.updating, header.error = validity.updating, validity.error
        name = os.fsencode(self.file.name)
        try:
            descriptor = os.open(name, os.O_RDWR | O_CLOEXEC | O_BINARY)
        except FileNotFoundError:
            return
        except OSError as error:
            text = f'open() "{self.file.name}" failed'
            self._log.write_failure(Failure(text, Level.CRIT, errno=error.errno))
            return
        try:
            # Another request may have replaced the file since.
            mine = os.fstat(self.file.descriptor)
            if mine.st_ino == os.fstat(descriptor).st_ino:
                write_at(descriptor, header.pack(), 0)
        except OSError as error:
            text = f'pwrite() "{self.file.name}" failed'
            self._log.write_failure(Failure(text, Level.CRIT, errno=error.errno))
        finally:
            os.close(descriptor)

    def end(self, *, error: int = 0, error_until: int = 0) -> None:
        """The request stores no response, or an `error` until `error_until`."""
        if self._ended:
            return
        self._ended = True
        lock, self._lock = self._lock, None
        self.cache.zone.end_update(
            self._digest, lock, self.rules.min_uses, error=error, error_until=error_until
        )

    def for_update(self, log: ConnectionLog) -> CacheEntry:
        """The same entry, for a request that updates it instead of this one."""
        assert self.file is not None
        other = CacheEntry(self.cache, self.key, self.rules, self._headers, log)
        other.file = CachedFile(
            self.file.name,
            os.dup(self.file.descriptor),
            self.file.header,
            self.file.head,
            self.file.size,
            self.file.body,
        )
        other._digest, other._is_variant = self._digest, self._is_variant
        other._lock, self._lock = self._lock, None
        return other

    def close(self) -> None:
        """Close the file, unless a response body has taken it."""
        if self.file is not None:
            self.file.close()
