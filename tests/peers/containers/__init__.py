"""Containers without an engine that runs all the time and without a registry: buildah builds, podman with runc runs.

Images and containers lie in a storage of our own, so that nothing here meets what a machine's own podman has. What is
built on is made here too (`debian`, `lookalikes`): nothing is pulled. Root only, since it is what the machine's users
and networks are not asked about.
"""

from tests.peers.containers.engine import Container, Engine, engine, lacking

__all__ = ["Container", "Engine", "engine", "lacking"]
