"""An image whose `python` is a shell that asks, claims and tells as a runner's pod does, and runs nobody's code.

So hundreds of pods cost little, and what is measured is the service. A load's result lies ready, by the project's name, in a folder
that every container of the stand-in kubelet sees; a run sleeps for the `nap` in its project's parameters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.peers.kubernetes import Image

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# As service/limits.py's POD_LOOK_S: so often a pod with nothing to tell asks whether it is still wanted.
_LOOK_S = 15
# Bash speaks TCP by itself. An answer but 2xx: it is over, or tried once more where the service is busy.
_PROGRAM = r"""#!/bin/bash
job=$(</gitops/job/id) url=$(</gitops/job/url) token=$(</gitops/job/token)
host=${url#http://}
claimer=${GITOPS_CLAIMER}_shadow
ask() {
    for try in 1 2 3 4 5 6 7 8; do
        if exec 3<>"/dev/tcp/${host%:*}/${host##*:}"; then
            printf '%s /runner/v1/jobs/%s/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nGitops-Claimer: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
                "$1" "$job" "$2" "$host" "$token" "$claimer" "${#3}" "$3" >&3
            read -r _ code _ <&3
            if [ "$2" = source ]; then cat <&3 >/dev/null; else answer=$(cat <&3); fi
            exec 3<&-
            case $code in
            2*) return ;;
            4*) echo "$2: $code"; exit 1 ;;
            esac
        fi
        sleep 1
    done
    echo "$2: no answer"; exit 75
}
tell() { ask POST events "{\"claimer\": \"$claimer\", \"since\": 1, \"lines\": [$1]}"; }
ask GET job
[[ $answer =~ \"nap\":\ ?([0-9]+) ]] && nap=${BASH_REMATCH[1]}
[[ $answer =~ \"project\":\ ?\{[^}]*\"name\":\ ?\"([a-z0-9-]+)\" ]] && project=${BASH_REMATCH[1]}
ask GET source
ask POST claim "{\"claimer\": \"$claimer\"}"
[[ $job = load-* ]] && ask PUT result "$(<"RESULTS/$project")"
for ((left = ${nap:-0}; left > 0; left -= LOOK)); do
    sleep $((left < LOOK ? left : LOOK))
    tell
done
TZ=UTC printf -v now '%(%FT%TZ)T' -1
last='"{\"event\": \"finished\", \"state\": \"succeeded\", \"results\": {}, \"error\": null, \"at\": \"NOW\"}"'
tell "${last/NOW/$now}"
"""


def shadow_image(folder: Path) -> Image:
    """Laid out in `folder`, which every user has to be able to reach."""
    (folder / "results").mkdir(mode=0o755, parents=True)
    program = folder / "python"
    program.write_text(_PROGRAM.replace("RESULTS", str(folder / "results")).replace("LOOK", str(_LOOK_S)))
    program.chmod(0o755)
    return Image(env={"PATH": f"{folder}:{_PATH}"})


def lay_out_result(folder: Path, project: str, workflows: Sequence[str], nap: int) -> None:
    """What a load of this project says."""
    specs = [{"name": name, "path": "workflow.py", "engine": "local"} for name in workflows]
    plain: dict[str, Any] = {"schedule": None, "args": {}, "image": None}
    result = {
        "name": project,
        "project": {
            "kind": "project",
            "metadata": {"name": project},
            "spec": {"params": {"nap": nap}, "workflows": specs},
        },
        "functions": {},
        "workflows": [{**plain, "name": spec["name"], "engine": "local", "spec": spec} for spec in specs],
        "checks": dict.fromkeys(workflows, "run"),
        "warnings": [],
    }
    (folder / "results" / project).write_text(json.dumps(result))


def project_files(project: str, variant: int) -> dict[str, str | bytes | None]:
    """The repository of it; a load of each variant is the same."""
    plain = {"kind": "project", "metadata": {"name": project}, "spec": {}}
    return {"project.yaml": json.dumps(plain), "variant": f"{variant}\n"}
