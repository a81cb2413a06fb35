"""Manifests: the whole of them as files that people can read, what must hold of each, and what Kubernetes' own schemas say."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path

import pytest
import yaml

from service.domain.projects import RunnerRule
from service.errors import LaunchFailed
from service.launchers import JobKind, pack
from service.launchers.kubernetes import manifests, names
from service.settings import Kubernetes

GOLDEN = Path(__file__).parent / "golden"
SECRET = {"id": "x", "url": "https://gitops.example.com", "token": "only-for-this-job"}
OWNER = {"metadata": {"name": "gitops-x", "uid": "01234567-89ab-cdef-0123-456789abcdef"}}
VERSIONS = [f"1.{minor}" for minor in range(27, 38)]


def _all(settings, job):
    return [
        manifests.config_map(settings, "runners", "0123456789abcdef01", b"the runner"),
        manifests.secret(settings, "runners", job, SECRET, OWNER),
        manifests.job(settings, "runners", job, "gitops-runner-0123456789abcdef"),
    ]


def _golden(name, made):
    path = GOLDEN / name
    if not path.exists():  # remove the file to have it written anew, and look at it
        path.write_text(yaml.safe_dump_all(made, sort_keys=False, width=140))
        pytest.fail(f"{path} was written; look at it")
    assert list(yaml.safe_load_all(path.read_text())) == made


def test_with_no_settings_at_all(job):
    _golden("plain.yaml", _all(Kubernetes(), job()))


def test_with_every_setting_and_every_wish(everything):
    _golden("everything.yaml", _all(*everything))


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_word_of_them(version, job, everything):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the validator's own imports
        import kubernetes_validate
    for manifest in [*_all(Kubernetes(), job()), *_all(*everything)]:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_load_and_a_run_are_the_same_but_for_what_they_are_called(job):
    run, load = (
        manifests.job(Kubernetes(), "runners", job(kind=kind), "program") for kind in (JobKind.RUN, JobKind.LOAD)
    )
    for made in (run, load):
        for marked in (made, made["spec"]["template"]):
            marked["metadata"]["labels"].pop(names.KIND)
    assert run == load


def test_the_pod_is_as_the_profile_restricted_asks(job, everything):
    for settings, one in ((Kubernetes(), job()), everything):
        pod = manifests.job(settings, "runners", one, "program")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        assert all(volume.keys() - {"name"} <= allowed for volume in pod["volumes"])


def test_no_secret_is_anywhere_but_in_the_secret(job):
    program, secret, job_ = _all(Kubernetes(), job())
    token = base64.b64encode(SECRET["token"].encode()).decode()
    assert secret["data"]["token"] == token
    for other in (program, job_):
        assert token not in str(other)
        assert SECRET["token"] not in str(other)


def test_the_cluster_gives_no_token_to_a_pod_that_was_given_no_account(job):
    pod = manifests.job(Kubernetes(), "runners", job(), "p")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod


def test_what_the_operator_and_the_repository_set_does_not_move_the_runners_folders(job):
    settings = Kubernetes(env={"HOME": "/root", "GITOPS_JOB": "other"})
    made = manifests.job(settings, "runners", job(environment={"TMPDIR": "/x"}), "p")
    (container,) = made["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert (env["HOME"], env["TMPDIR"], env["GITOPS_JOB"]) == (manifests.HOME, manifests.TEMPORARY, job().id)
    assert len(env) == len(container["env"])


def test_only_the_operators_volumes_can_be_mounted(job):
    with pytest.raises(LaunchFailed, match=r"no volume 'secrets'.*launcher\.kubernetes\.volumes") as failure:
        manifests.job(Kubernetes(), "runners", job(runner=RunnerRule(volumes={"secrets": "/x"})), "p")
    assert not failure.value.retry


@pytest.mark.parametrize(
    ("wished", "made"),
    [
        ({}, {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}}),
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "4Gi"}}),
        # A request above the limit is refused by Kubernetes; a limit alone is the request too.
        ({"limits": {"memory": "1Gi"}}, {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}),
        (
            {"limits": {"nvidia.com/gpu": 1}},
            {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi", "nvidia.com/gpu": 1}},
        ),
    ],
)
def test_a_repositorys_resources_are_put_over_the_operators(job, wished, made):
    settings = Kubernetes(resources={"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}})
    one = job(runner=RunnerRule(resources=wished))
    (container,) = manifests.job(settings, "runners", one, "p")["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == made


@pytest.mark.parametrize(
    ("job_id", "name"),
    [
        ("01jzy3q8w2m4n6p8r0s2t4v6x8", "gitops-01jzy3q8w2m4n6p8r0s2t4v6x8"),
        ("Load_1", "gitops-load-1-"),
        ("load-" + "a" * 60, "gitops-load-aaaa"),
        ("-", "gitops-"),
    ],
)
def test_names_are_such_as_kubernetes_takes(job_id, name):
    made = names.job_name(job_id)
    assert made.startswith(name)
    assert len(made) <= 63
    assert names.job_label(job_id)[-1].isalnum()
    assert made == names.job_name(job_id)
    assert made != names.job_name(job_id + "x")


def test_a_project_whose_name_is_no_label_goes_without(job):
    assert names.PROJECT not in manifests.job(Kubernetes(), "n", job(project="a b"), "p")["metadata"]["labels"]


def test_the_runner_fits_into_a_config_map():
    made = manifests.config_map(Kubernetes(), "runners", "0" * 16, pack.archive())
    assert len(str(made)) < 1024 * 1024, "Kubernetes' cap of a ConfigMap"


def test_deadlines_leave_the_service_to_say_first_that_time_is_up(job):
    settings = Kubernetes(start_timeout=100.0)
    made = manifests.job(settings, "runners", job(timeout_s=50.5), "p")
    assert made["spec"]["activeDeadlineSeconds"] > 150.5
    assert made["metadata"]["annotations"][names.TIMEOUT] == "50.5"
    assert made["spec"]["template"]["metadata"]["annotations"][names.TIMEOUT] == "50.5"
    for_ever = manifests.job(settings, "runners", job(timeout_s=999_999_999 * 86400.0), "p")
    assert for_ever["spec"]["activeDeadlineSeconds"] * 10**9 < 2**63, "in nanoseconds"
    assert made["spec"]["backoffLimit"] == 0
    assert "ttlSecondsAfterFinished" not in made["spec"], "only once the end is recorded"


def test_the_labels_by_which_jobs_are_found_cannot_be_set_to_something_else():
    with pytest.raises(ValueError, match=r"mlrun-gitops\.io/instance.*choose another name"):
        Kubernetes(labels={"mlrun-gitops.io/instance": "other"})
