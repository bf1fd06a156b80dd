"""`churn serve` and `churn tenants`: for whoever hosts models."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.commands.options import Mode, ModeOption, Unflooded
from churn.hosting.protocol import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from churn.hosting.registry import Versioned

__all__ = ["serve", "tenants_app"]

tenants_app = typer.Typer(help="Who may use a service: add, remove and list tenants.", no_args_is_help=True)


def serve(
    models: Annotated[Path, typer.Option(help="Folder of model files, *.json, as `train` writes.")] = Path("models"),
    keys: Annotated[Path, typer.Option(help="Folder for the public keys that clients send.")] = Path("churn-keys"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    mode: ModeOption = Mode.logit,
    unflooded: Unflooded = False,
    answers: Annotated[
        int, typer.Option(help="Answers of each model that one tenant is given; flooding is sized for them.", min=1)
    ] = ANSWERS,
    tenants: Annotated[
        Path | None, typer.Option(help="File of tenants (see `tenants`); without it, only this machine is served.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain in PEM: serve https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.")] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Serve other machines without TLS, behind a proxy that has it.")
    ] = False,
    as_root: Annotated[bool, typer.Option("--as-root", help="Serve other machines as root all the same.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; unset: one per processor. 0: threads instead.", min=0, max=256)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Most threads of one evaluation; unset: its share of the processors.", min=1)
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="Change a limit, as the table at the start names them; may be repeated.", metavar="NAME=NUMBER"
        ),
    ] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Host every model of a folder until interrupted. This process cannot decrypt."""
    from churn.launch import launch

    with ExitStack() as stack:
        # First of all a worker, which takes as long to load as what is imported next.
        alone = workers == 0 or os.name == "nt"
        launcher = None if alone else stack.enter_context(launch(models, mode.value, not unflooded, answers))
        from churn.hosting.limits import Limits
        from churn.server import Settings
        from churn.server import serve as run

        settings = Settings(
            models=models,
            keys=keys,
            output=mode.value,
            flooded=not unflooded,
            answers=answers,
            host=host,
            port=port,
            tenants=tenants,
            tls_cert=tls_cert,
            tls_key=tls_key,
            plain_http=plain_http,
            as_root=as_root,
            workers=workers,
            threads=threads,
            limits=Limits().with_(limit or []),
        )

        def announce(url: str, hosted: Iterable[Versioned]) -> None:
            for name, value, meaning in settings.limits.describe():
                print(f"limit {name:20} {value:>8}  {meaning}")
            names = ", ".join(f"{model.name}@{model.version}" for model in hosted)
            print(f"serving {names} at {url} (Ctrl-C ends it)", flush=True)

        run(settings, launcher=launcher, ready=announce, until_stdin_closes=until_stdin_closes)


TenantsFile = Annotated[Path, typer.Option("--file", help="The file of tenants.")]


@tenants_app.command("add")
def tenants_add(
    name: Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9 and '-'.")], file: TenantsFile = Path("tenants.json")
) -> None:
    """Add a tenant, and print the token: the only time that it is seen."""
    from churn.hosting.tenants import add_tenant

    print(add_tenant(file, name))


@tenants_app.command("remove")
def tenants_remove(
    name: Annotated[str, typer.Argument(help="Whom to remove.")], file: TenantsFile = Path("tenants.json")
) -> None:
    """Remove a tenant; a running service notices at the next request."""
    from churn.hosting.tenants import TenantError, list_tenants, remove_tenant

    if not remove_tenant(file, name):
        known = ", ".join(list_tenants(file)[:20]) or "none"
        raise TenantError(f"{file} has no tenant {name[:64]!r}", f"the tenants are: {known}", "Name one of these")


@tenants_app.command("list")
def tenants_list(file: TenantsFile = Path("tenants.json")) -> None:
    """List the tenants."""
    from churn.hosting.tenants import list_tenants

    for name in list_tenants(file):
        print(name)
