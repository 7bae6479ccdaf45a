"""The command `proxyless`: one module per subcommand, loaded when it is called."""

import importlib
import sys

import click

from ..errors import MeshError

COMMANDS = {
    "ca": "the development authority's roots, and their rotation",
    "check": "validate Istio and Kubernetes YAML",
    "clients": "who is connected to a control plane, and who has what it was told",
    "demo": "the shop: see the mesh at work, in under two minutes",
    "diff": "what a change of configuration changes in decisions",
    "doctor": "what stands between a process and its mesh",
    "dump": "every resource of a running process or a control plane",
    "explain": "where a request would go, and why",
    "inject": "make a Kubernetes manifest proxyless",
    "run": "govern a program without a change to its code",
    "serve": "the embedded control plane on a folder of YAML",
    "status": "what a running process or a control plane holds",
    "token": "a token for the development authority",
}


class _Lazy(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        del context
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        del context
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f".{name}", __name__).command
        return command if isinstance(command, click.Command) else None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="proxyless", message="%(prog)s %(version)s")
def cli() -> None:
    """What an Istio sidecar gives a program, inside a Python process, without the sidecar."""


def main(arguments: list[str] | None = None) -> None:
    """Exit status 0 good, 1 a finding, 2 bad usage or input; errors go to stderr."""
    try:
        status = cli.main(arguments, prog_name="proxyless", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"proxyless: {error.format_message()}", err=True)
        sys.exit(2)
    except MeshError as error:
        click.echo(f"proxyless: {error}", err=True)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)
