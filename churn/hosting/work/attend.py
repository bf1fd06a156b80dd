"""The life of a worker process: tell what it can do, then do one job after the other until the service is gone."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterable
from threading import Thread

from churn.errors import ChurnError
from churn.hosting.model import HostedModel
from churn.hosting.work.channel import Channel, ChannelClosed
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.jobs import job_from_dict
from churn.hosting.work.memory import whole
from ckks import kernels
from ckks.errors import HEError

__all__ = ["attend"]


def attend(load: Callable[[], Iterable[HostedModel]], channel: int, memory: int) -> None:
    """Serve the process that started this one, and end with it.

    Args:
        load: makes the models; what keeps it from doing so, the service is told.
        channel, memory: inherited handles, of the socket and of the shared blocks.
    """
    Thread(target=_end_with_the_service, daemon=True).start()
    _prefer_as_victim()
    service = Channel(socket.socket(fileno=channel))
    kernels.warmup()
    with contextlib.suppress(ChannelClosed):
        try:
            models = list(load())
        except (ChurnError, HEError) as error:
            service.send({"failed": str(error)})
            return
        service.send({"models": [model.digest for model in models], "backend": kernels.active().name})
        engine = Engine(models, **service.receive())
        blocks = whole(memory)
        while True:
            message = service.receive()
            offset, size = message.pop("offset"), message.pop("size")
            reply = engine.handle(job_from_dict(message), blocks[offset : offset + size])
            service.send(vars(reply))


def _end_with_the_service() -> None:
    """Wait for the end of standard input, of which only the service holds the other end; even while computing."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1):
            pass
    os._exit(0)


def _prefer_as_victim() -> None:
    """When memory runs out, the system ends this process rather than the service, which replaces it."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
