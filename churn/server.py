"""The model owner's end: a folder of models, hosted. Imports nothing that could decrypt.

python -m churn serve --models DIR
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from churn.circuit import PROBABILITY, OutputKind, Score
from churn.errors import ModelError
from churn.hosting.app import create_app
from churn.hosting.limits import Limits
from churn.hosting.store import FileStore, KeyStore
from churn.model import LinearModel
from ckks import kernels

__all__ = ["build", "load_models", "run"]

_MODEL_BYTES = 64 << 20
_GRACE_SECONDS = 5


def load_models(folder: str | Path) -> list[LinearModel]:
    """Return the models of a folder: every *.json in it, in order of name.

    Raises ModelError for a folder that is missing or holds no model, a file that is none (its name
    is in the message), and for two models of one name.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not paths:
        raise ModelError(
            f"{folder} " + ("holds no *.json" if folder.is_dir() else "is no folder"),
            "a folder with one model file at least is needed",
            f"Make one with 'python -m churn train --out {folder}/churn.json'",
        )
    models: dict[str, LinearModel] = {}
    for path in paths:
        model = _load(path)
        if model.name in models:
            raise ModelError(
                f"{path} is a second model named {model.name!r}",
                "every model needs a name of its own",
                "Remove or rename one",
            )
        models[model.name] = model
    return list(models.values())


def build(
    models: list[LinearModel],
    store: KeyStore | str | Path,
    *,
    output: OutputKind = PROBABILITY,
    limits: Limits = Limits(),
) -> Starlette:
    """Return the service for models; `store` may be a folder for the keys that clients send."""
    if isinstance(store, str | Path):
        store = FileStore(store)
    return create_app([Score.of(model, output) for model in models], store, limits)


def run(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    ready: Callable[[str], None] | None = None,
    until_stdin_closes: bool = False,
) -> None:
    """Serve until interrupted; port 0 takes a free one. `ready` is given the URL before the start.

    Kernels that compile at run time are compiled first, so that no request has to wait for that.
    With `until_stdin_closes` the service also ends when whoever started it is gone.
    """
    listener = _listen(host, port)
    kernels.warmup()
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, server_header=False
        )
    )
    if until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(server,), daemon=True).start()
    if ready is not None:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}")
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has shut down; that is what was asked for
    finally:
        listener.close()


def _load(path: Path) -> LinearModel:
    try:
        if path.stat().st_size > _MODEL_BYTES:
            raise ModelError(
                f"{path} has {path.stat().st_size} bytes", "a model has far fewer", "Check that this is a model file"
            )
        return LinearModel.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except ModelError as error:
        raise ModelError(f"{path}: {error.found}", error.needed, error.remedy) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read as JSON ({error})",
            "a model file is needed",
            "Make one with 'python -m churn train'",
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ModelError(
            f"port {port} of {host} cannot be listened on ({error.strerror or error})",
            "a free port of this machine is needed",
            "Name another with --port; 0 takes any that is free",
        ) from error
    return listener


def _watch_stdin(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True
