"""Settings and jobs to make manifests of, and a store for what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.projects import RunnerRule
from service.launchers import Job, JobKind
from service.settings import Kubernetes, Settings
from service.store import Store, open_store


def _job(**changed: Any) -> Job:
    given: dict[str, Any] = {
        "id": "01jzy3q8w2m4n6p8r0s2t4v6x8",
        "kind": JobKind.RUN,
        "source": lambda into: None,
        "payload": {"workflow": {"name": "main"}},
        "timeout_s": 7200.0,
        "mlrun_version": "1.9.2",
        "project": "fraud",
        "repository": "fraud",
        "commit": "c" * 40,
        "image": "mlrun/mlrun-kfp:1.9.2",
    }
    return Job(**{**given, **changed})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path / "data"))
    yield opened
    opened.close()


@pytest.fixture
def job() -> Callable[..., Job]:
    return _job


@pytest.fixture
def everything() -> tuple[Kubernetes, Job]:
    """Settings with every key, and a job that wishes for all it may."""
    settings = Kubernetes.model_validate(
        {
            "namespace": "runners",
            "instance": "team-a",
            "service_account": "runner",
            "image_pull_policy": "Always",
            "image_pull_secrets": ["registry"],
            "node_selector": {"pool": "ml", "zone": "a"},
            "tolerations": [{"key": "ml", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
                        }
                    ]
                }
            },
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
            "priority_class": "batch",
            "runtime_class": "gvisor",
            "env": {
                "HTTPS_PROXY": "http://proxy.example.com:3128",
                "HOME": "/root",
                "TOKEN": {"secretKeyRef": {"name": "ours", "key": "token"}},
            },
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
                {"name": "nobody's", "persistentVolumeClaim": {"claimName": "other"}},
            ],
            "volume_mounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
            "labels": {"team": "a"},
            "annotations": {"example.com/cost": "ml"},
            "run_as_user": 2000,
            "fs_group": 3000,
            "read_only_root": True,
            "scratch_size": "5Gi",
            "start_timeout": "10m",
        }
    )
    wished = RunnerRule(
        node_selector={"pool": "gpu"},
        resources={"requests": {"cpu": "2"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": 1}},
        env={"EPOCHS": "3"},
        volumes={"models": "/models"},
        service_account="trainer",
    )
    return settings, _job(runner=wished, environment={"MLRUN_DBPATH": "http://mlrun-api:8080"})
