#!/bin/sh
# The `mlrun` of the runner's images. An old server still sends the parameter `ttl`, which SDKs from 1.7.2 on refuse; and with
# the local engine to wait for what has ended by then, for which they ask a server from 1.8 on.
MLRUN_EXEC_CONFIG=$(python -S -c '
import json, os

document = json.loads(os.environ.get("MLRUN_EXEC_CONFIG") or "{}")
parameters = (document.get("spec") or {}).get("parameters") or {}
parameters.pop("ttl", None)
if parameters.get("engine") == "local":
    parameters.pop("wait_for_completion", None)
print(json.dumps(document))
') || exit 1
export MLRUN_EXEC_CONFIG
exec python -m mlrun "$@"
