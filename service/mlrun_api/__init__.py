"""MLRun's REST API: the one room that speaks to an MLRun API server. Targets save by it, launchers run by it.

    api = MlrunApi(settings)
    if api.server().has(Feature.SEVERAL_STATES): ...

`versions` is the table of what differs between servers. Errors are MlrunAway and MlrunRefused of `service.errors`.
"""

from service.mlrun_api.answers import Json
from service.mlrun_api.api import MlrunApi
from service.mlrun_api.builds import Build
from service.mlrun_api.versions import Feature, Server, is_known

__all__ = ["Build", "Feature", "Json", "MlrunApi", "Server", "is_known"]
