"""`serve --kubernetes`: a cluster in place of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ..errors import ConfigurationError
from ._ending import Ending

if TYPE_CHECKING:
    from ..xds.controlplane.source.cluster import KubernetesSource


def cluster(
    kubeconfig: str | None, without: Iterable[str], root_namespace: str, revision: str | None = None
) -> KubernetesSource:
    """The source, which begins to read.

    Raises:
        ConfigurationError: nothing says where the API server is, or an option is wrong.
    """
    from ..xds.controlplane.apiserver import ApiServer, ConfigurationMissing, configured
    from ..xds.controlplane.source.cluster import KubernetesSource
    from ..xds.controlplane.source.cluster.resources import MESH_MAP

    try:
        source = KubernetesSource(
            ApiServer(configured(kubeconfig)),
            without=without,
            root_namespace=root_namespace,
            mesh_map=f"istio-{revision}" if revision else MESH_MAP,
        )
    except ConfigurationMissing as error:
        raise ConfigurationError(str(error)) from error
    except ValueError as error:
        raise ConfigurationError(f"--without {error}") from error
    source.start()
    return source


def until_synced(source: KubernetesSource, ended: Ending) -> bool:
    """Waits until every kind has been read; says what it waits for. False where it was ended meanwhile."""
    from ..xds.controlplane.source.cluster.source import until_synced as until

    return until(source, ended.is_set, lambda text: click.echo(f"waiting for {source.url}: {text}"))
