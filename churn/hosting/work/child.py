"""Starting worker processes, without what they need to work: so that they can load while the service itself does.

Imports nothing but Python's own library.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from churn.hosting.work.channel import Channel, ChannelClosed
from churn.hosting.work.memory import nameless_file

__all__ = ["Child", "Launcher"]


class Child:
    """A process, and our end of its channel. Killed when it is not wanted any more: it holds nothing of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], memory: int) -> None:
        """Start it, with `--channel HANDLE --memory HANDLE` added to the command."""
        self.keys: frozenset[str] = frozenset()  # those that it has used
        self.ready = self.busy = False
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            with theirs:
                handles = (theirs.fileno(), memory)
                # A session of its own: an interrupt at the terminal is for the service, which ends its workers itself.
                self.process = subprocess.Popen(
                    [*command, "--channel", str(handles[0]), "--memory", str(handles[1])],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=handles,
                    env=dict(environment),
                    start_new_session=True,
                )
        except BaseException:
            self.channel.close()
            raise

    def call(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Have a job done; ChannelClosed or TimeoutError when it is not. Runs in a thread."""
        self.channel.send(message)
        return self.channel.receive(max(0.001, seconds))

    def kill(self) -> None:
        """End it; return when it has ended."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


class Launcher:
    """How to start workers, and those that were started. Starts one at once. Safe to use from several threads.

    Args:
        command: of a worker.
        environment: of the workers.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the first."""
        self.memory = nameless_file()
        self.children: set[Child] = set()
        self._command, self._environment = list(command), dict(environment)
        self._lock, self._closed = Lock(), False
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> Child:
        """Start one more; ChannelClosed after `close`."""
        with self._lock:
            if self._closed:
                raise ChannelClosed
            child = Child(self._command, self._environment, self.memory)
            self.children.add(child)
            return child

    def kill(self, child: Child) -> None:
        """End one; afterwards it writes to no block any more."""
        with self._lock:
            self.children.discard(child)
        child.kill()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            if self._closed:
                return
            self._closed, children = True, list(self.children)
            self.children.clear()
        for child in children:
            child.kill()
        os.close(self.memory)

    def __enter__(self) -> Launcher:
        """Return the launcher itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all of them."""
        self.close()
