"""The kill loop in a cluster: real pushes while the service is killed, and the cluster is no better."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from service.launchers.kubernetes import names
from tests.faults.kubernetes.harm import Harm
from tests.faults.scenario import Team, nap
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.meddler import Meddler

pytestmark = [
    pytest.mark.faults,
    pytest.mark.kubernetes,
    pytest.mark.runner,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]

# From twenty kills on, a hundred pushes.
MANY_FAULTS, MANY_PUSHES = 20, 100
CRASH_POINTS = (
    "store.before-commit",
    "store.after-commit",
    "launch.before-ensure",
    "launch.after-ensure",
    "watch.before-record",
    "watch.after-record",
    "sync.planned",
    "sync.applied",
)
TAKEN = re.compile(r"was deleted|signal 9|was killed")


def test_pushes_survive_kills_of_the_service_in_a_cluster_that_is_no_better(
    cluster: Cluster,
    kubelet: Kubelet,
    namespace: str,
    meddler: Meddler,
    launcher: dict[str, Any],
    open_path: Path,
    faults: int,
) -> None:
    """No fault of the service's or the API server's costs a run; only whose pod was taken may be lost, and says so."""
    seed = int(os.environ.get("GITOPS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    print(f"GITOPS_TEST_SEED={seed}")
    chance = random.Random(seed)
    lines = str(open_path / "lines")
    launcher["kubernetes"] |= {
        "volumes": [{"name": "lines", "hostPath": {"path": lines}}],
        "volume_mounts": [{"name": "lines", "mountPath": lines}],
    }
    harm = Harm(cluster, kubelet, namespace, meddler, chance)
    team = Team(open_path, seed=seed, settings={"launcher": launcher})
    try:
        team.service.start().wait_ready()
        team.push()
        for _ in range(faults):
            with harm.lasting():
                for _ in range(MANY_PUSHES // faults if faults >= MANY_FAULTS else 1):
                    team.push()
                    nap(chance.uniform(0, 0.3))
                _kill(team, chance)
            harm.sudden()
            team.push()
            if chance.random() < 0.3:
                team.settle()
        team.service.keep_alive()
        team.armed.unlink(missing_ok=True)
        team.settle()
        print(f"\n{faults} kills beside {dict(harm.done)}: {team.check()}")
        for run in team.service.all("/runs", state="lost"):
            assert names.job_label(run["id"]) in harm.taken, f"nobody took its pod, and it is lost: {run}"
            assert TAKEN.search(run["reason"]), f"its pod was taken, and it says otherwise: {run}"
    finally:
        team.close()


def _kill(team: Team, chance: random.Random) -> None:
    """In the middle of something: at a place in the code, or at any moment."""
    if chance.random() < 0.4:
        point = chance.choice(CRASH_POINTS)
        team.armed.write_text(f"{point}:{chance.randint(1, 30) if point.startswith('store.') else 1}")
        nap(chance.uniform(0, 4))
    else:
        nap(chance.uniform(0, 8))
        victim = chance.choice(["master", "worker", "both"])
        team.service.kill(master=victim in ("master", "both"), worker=victim in ("worker", "both"))
    team.service.keep_alive()
