from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.launchers import EndReason
from service.settings import Settings
from service.source.archive import Archives
from tests.integration.pods.conftest import packed
from tests.peers.pod import Callee, Pod
from tests.waiting import until

Start = Callable[..., Pod]
OLD = [
    pytest.param(path, id=path.parents[1].name)
    for path in sorted((Path.home() / ".pyenv/versions").glob("3.[78].*/bin/python"))
] or [
    # What an image too old for the runner is told can be seen with such an image's Python alone, and nobody releases those any more. A
    # machine without one is told what to do, as for every peer that cannot be had.
    pytest.param(None, marks=pytest.mark.skip(reason="needs a Python 3.7 or 3.8: `pyenv install 3.8`"))
]


@pytest.fixture
def behind_tls(tmp_path: Path) -> Iterator[Callee]:
    """Its certificate is its own authority."""
    if not shutil.which("openssl"):
        pytest.skip("apt-get install openssl")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key],
        check=True,
        capture_output=True,
    )  # fmt: skip
    archives = Archives(tmp_path / "archives")
    called = Callee(
        Settings(data_dir=tmp_path / "data"),
        lambda _repository, commit: archives.open(commit, lambda file: file.write(packed({"a": b"a"}))),
        (str(certificate), str(key)),
    )
    with called:
        yield called


def begin(callee: Callee, base: Path, python: Path, program: Path, **secret: str) -> Pod:
    return Pod(base, python, program, callee.secret(base / "secret", **secret))


def test_a_service_with_a_certificate_of_its_own_is_trusted_by_the_secret_alone(
    behind_tls: Callee, tmp_path: Path, old_python: Path, program: Path
) -> None:
    behind_tls.add(script="emit('ran')\n")
    authority = (tmp_path / "tls.crt").read_text()
    stranger = begin(behind_tls, tmp_path / "stranger", old_python, program)
    friend = begin(behind_tls, tmp_path / "friend", old_python, program, **{"ca.crt": authority})
    try:
        assert friend.wait() == 0, friend.log
        assert behind_tls.events() == ["claimed", "ran", "finished"]
        until(lambda: "CERTIFICATE_VERIFY_FAILED" in stranger.log, "it to say why it waits")
        assert stranger.process.poll() is None
    finally:
        stranger.close()
        friend.close()


def test_proxies_are_those_of_the_pod(callee: Callee, start: Start) -> None:
    """A proxy gets the whole address; the name in it is known to nobody else."""
    callee.add(script="emit('ran')\n")
    pod = start(secret={"url": "http://gitops.invalid"}, http_proxy=callee.url)
    assert pod.wait() == 0, pod.log
    assert callee.hosts == {"gitops.invalid"}


def test_a_proxy_is_not_for_what_the_pod_excepts(callee: Callee, start: Start) -> None:
    callee.add(script="emit('ran')\n")
    pod = start(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1,.svc")
    assert pod.wait() == 0, pod.log


def test_a_redirect_is_not_followed_with_the_token(callee: Callee, start: Start) -> None:
    callee.add(script="emit('ran')\n")
    elsewhere = {"Location": f"{callee.url}/runner/v1/jobs/one/elsewhere"}
    callee.meddle = lambda what: ("307 Temporary Redirect", b"", elsewhere) if what == "job" else None
    pod = start()
    until(lambda: callee.requests.count("job") > 1, "it to ask again")
    pod.signal(signal.SIGTERM)
    pod.wait()
    assert set(callee.requests) == {"job"}


def test_the_token_is_nowhere_but_in_its_file(callee: Callee, start: Start) -> None:
    callee.add(
        script="emit('seen', told=[open('/proc/' + p + '/' + n).read() for p in ('self', str(os.getppid())) for n in ('environ', 'cmdline')])\n"
    )
    pod = start()
    assert pod.wait() == 0, pod.log
    token = (pod.base / "secret" / "token").read_text().strip()
    assert len(token) == 43
    assert not any(token in text for text in (pod.log, str(callee.lines()), (pod.folder / "job.json").read_text()))


@pytest.mark.parametrize(("name", "text"), [("id", " "), ("token", ""), ("token", "two words"), ("url", "ftp://x")])
def test_a_secret_that_is_none_is_said(callee: Callee, start: Start, name: str, text: str) -> None:
    callee.add()
    pod = start(secret={name: text})
    assert pod.wait() == 2
    assert name in pod.log
    assert callee.requests == []


@pytest.mark.parametrize("python", OLD)
def test_an_image_with_an_old_python_says_so_itself(callee: Callee, start: Start, python: Path) -> None:
    callee.add(needs={"python": "3.9", "mlrun": "1.9", "kfp": "1.8"})
    pod = start(python=python)
    assert pod.wait() == 3, pod.log
    job = callee.job()
    assert job.ended is EndReason.INCOMPATIBLE
    assert f"Python {python.parents[1].name} found, 3.9 needed" in job.detail


def test_a_pod_for_a_user_without_a_name_or_a_home_says_what_is_missing(callee: Callee, start: Start) -> None:
    callee.add()
    pod = start(HOME="/proc")
    assert pod.wait() == 3
    assert "HOME=/proc is not writable" in callee.job().detail


def test_a_user_whom_the_image_does_not_know_has_a_name(callee: Callee, start: Start) -> None:
    callee.add(script="import getpass\nemit('seen', user=getpass.getuser(), home=os.path.expanduser('~'))\n")
    pod = start()
    assert pod.wait() == 0, pod.log
    assert (callee.lines()[1]["user"], callee.lines()[1]["home"]) == ("gitops", str(pod.base / "home"))
