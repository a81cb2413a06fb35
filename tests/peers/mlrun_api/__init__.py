"""An MLRun API server of our own: 1.5.2, the newest one on PyPI, on loopback, with an empty database, gone afterwards.

    with MlrunApi() as mlrun:
        httpx.get(f"{mlrun.url}/api/v1/projects")

With `MlrunApi(cluster, namespace)` it runs workflows and functions as pods there. The fixture `mlrun_place` has all that a remote workflow
needs: `.api`, `.forge` (Git over HTTPS, private where a test wants it), images of runners that an old server can start, `.sdk(python, *steps)`
for what MLRun's own users do and `.client` to look at what came of it. `environment` installs the server, `program` is what is run.

As an old server differs: notifications of a run are not kept; a run is aborted by PATCH; artifacts of new SDKs are refused; the id of a workflow
is "" while it runs. Steps run within the runner, since no Kubeflow is set.
"""

from tests.peers.mlrun_api.environment import VERSION, lacking, obtain
from tests.peers.mlrun_api.server import MlrunApi

__all__ = ["VERSION", "MlrunApi", "lacking", "obtain"]
