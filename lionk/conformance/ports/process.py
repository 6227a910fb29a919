"""Processes that are not trusted: in a group of their own, with limits of time, memory and output, ended whole."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEPT = 4000  # bytes of standard error that are kept, to be shown
_ENDING = 10.0  # seconds that a process may take to end after its connection, on a busy machine


@dataclass(frozen=True)
class Limits:
    """Limits: of one answer in seconds and bytes, of the whole group in GiB of resident memory (None: no limit)."""

    seconds: float = 60.0
    memory: float | None = 8.0
    output: int = 2**28


class Ended(Exception):
    """A process did not answer: it has ended, or was ended, and why."""


class Process:
    """A command whose standard input and output are pipes, and its group.

    Use it as a context: what is left of the group is killed at the end, whatever happened.
    """

    def __init__(self, command: list[str], limits: Limits, env: dict[str, str] | None = None) -> None:
        self.limits, self.said, self._read = limits, b"", b""
        pipe = subprocess.PIPE
        self.inner = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=env, bufsize=0
        )
        self._selector = selectors.DefaultSelector()
        for stream in (self.inner.stdout, self.inner.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill the group."""
        try:
            os.killpg(self.inner.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self.inner.kill()
        self.inner.wait()
        self._selector.close()
        for stream in (self.inner.stdin, self.inner.stdout, self.inner.stderr):
            if stream is not None:
                stream.close()

    def ask(self, text: str, seconds: float | None = None) -> str:
        """Send a line, and wait for a line, so many seconds (None: the limit). Raises Ended."""
        self._exchange(text.encode() + b"\n", True, self.limits.seconds if seconds is None else seconds)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode(errors="replace")

    def finish(self, text: str) -> tuple[str, int]:
        """Send all, close, and wait for the end: the output and the exit code. Raises Ended at a limit."""
        self._exchange(text.encode(), False, self.limits.seconds)
        return self._read.decode(errors="replace"), self.inner.wait()

    def _exchange(self, todo: bytes, until_line: bool, seconds: float) -> None:
        stdin, stdout = self.inner.stdin, self.inner.stdout
        assert stdin is not None
        os.set_blocking(stdin.fileno(), False)
        self._selector.register(stdin, selectors.EVENT_WRITE)
        until, looked = time.monotonic() + seconds, 0.0
        writing, open_, answer = True, True, until_line and b"\n" in self._read
        try:
            while not answer and (open_ if until_line else open_ or self.inner.poll() is None):
                for key, _ in self._selector.select(0.05):
                    if key.fileobj is stdin:
                        try:
                            todo = todo[os.write(stdin.fileno(), todo[:65536]) :]
                        except (BrokenPipeError, BlockingIOError):
                            todo = b"" if self.inner.poll() is not None else todo
                        if not todo and writing:
                            self._selector.unregister(stdin)
                            writing = False
                            if not until_line:
                                stdin.close()
                        continue
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        self._selector.unregister(key.fileobj)
                        open_ = open_ and key.fileobj is not stdout
                    elif key.fileobj is stdout:
                        self._read += data
                        answer = until_line and b"\n" in data
                    else:
                        self.said = (self.said + data)[-_KEPT:]
                if len(self._read) > self.limits.output:
                    raise Ended(f"wrote more than {self.limits.output / 2**20:g} MiB in one answer")
                now = time.monotonic()
                if now > until:
                    raise Ended(f"did not answer within {seconds:g} s")
                if self.limits.memory is not None and now > looked + 0.25:
                    looked = now
                    if memory_of_group(self.inner.pid) > self.limits.memory * 2**30:
                        raise Ended(f"took more than {self.limits.memory:g} GiB of memory")
                open_ = open_ and self.inner.poll() is None
        finally:
            if writing and not stdin.closed:
                self._selector.unregister(stdin)
        if self.inner.poll() is not None:
            self._drain()
        if until_line and b"\n" not in self._read:
            raise Ended(self._how())

    def _drain(self) -> None:
        """Take what the ended process has left in its pipes, without waiting for a child of it that holds one."""
        self._read += _left_in(self.inner.stdout)
        self.said = (self.said + _left_in(self.inner.stderr))[-_KEPT:]

    def _how(self) -> str:
        try:
            code = self.inner.wait(timeout=_ENDING)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return f"ended the process by {name}"
        return f"ended the process with exit code {code}"


def _left_in(pipe: Any) -> bytes:
    """All that can be read from a pipe without waiting."""
    found = b""
    while True:
        try:
            data = os.read(pipe.fileno(), 1 << 20)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += data


def memory_of_group(group: int) -> int:
    """Resident bytes of the processes of a group, where /proc tells; else 0."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total
