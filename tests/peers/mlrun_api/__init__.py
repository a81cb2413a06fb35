"""An MLRun API server of our own: 1.5.2, the newest one on PyPI, on loopback, with an empty database, gone afterwards.

    with MlrunApi() as mlrun:
        httpx.get(f"{mlrun.url}/api/v1/projects")

With `MlrunApi(cluster, namespace)` it runs workflows and functions as pods there. `environment` installs it, `program` is what is run.
"""

from tests.peers.mlrun_api.environment import VERSION, lacking, obtain
from tests.peers.mlrun_api.server import MlrunApi

__all__ = ["VERSION", "MlrunApi", "lacking", "obtain"]
