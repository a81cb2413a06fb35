"""A master and its worker live and die together, and whoever starts them again finds the way free."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service import limits
from service.errors import SettingsError
from service.settings import Settings
from service.web.server import serve
from tests.integration.webhooks.running import Running, eventually, is_alive, running, write_config
from tests.unit.receiver.sample import SECRET, github, payload

CONFIG = {
    "server": {"port": 0, "threads": 8},
    "repositories": [
        {"name": "fraud", "url": "https://git.example.com/ml/fraud.git", "webhook_secrets": [SECRET.decode()]}
    ],
}


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path, CONFIG)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_a_worker_that_is_killed_is_started_again(config, log):
    with running(config, log) as service:
        first = service.worker()
        os.kill(first, signal.SIGKILL)
        assert service.worker(other_than=first) != first
        assert is_alive(service.master)


def test_a_master_that_is_killed_takes_its_worker_along_and_the_same_command_starts_again(config, log, tmp_path):
    service = Running(config, log)
    worker = service.worker()
    os.kill(service.master, signal.SIGKILL)
    service.end()
    eventually("the worker is gone", lambda: not is_alive(worker))
    fixed = write_config(tmp_path, {**CONFIG, "server": {"port": service.port}})
    with running(fixed, log) as second:
        assert second.worker() != worker


def test_after_both_are_killed_the_same_command_starts_again(config, log, tmp_path):
    service = Running(config, log)
    worker = service.worker()
    os.kill(worker, signal.SIGKILL)
    os.kill(service.master, signal.SIGKILL)
    service.end()
    with running(write_config(tmp_path, {**CONFIG, "server": {"port": service.port}}), log) as second:
        second.worker()


def test_sigterm_lets_the_request_in_flight_end_and_closes_the_store(config, log):
    with running(config, log) as service:
        worker = service.worker()
        answers = []
        client = threading.Thread(target=lambda: answers.append(service.get("/slow")))
        client.start()
        eventually("the request is in flight", lambda: "in flight" in log.read_text())
        assert service.stop() == 0
        client.join()
        assert answers == ["done"]
        assert not is_alive(worker)


def test_a_second_service_is_refused_the_port(config, log, tmp_path):
    with running(config, log) as service:
        service.worker()
        (tmp_path / "second").mkdir()
        second = write_config(tmp_path / "second", {**CONFIG, "server": {"port": service.port}})
        refused = program(second)
        assert refused.returncode == 1
        assert f"http://127.0.0.1:{service.port} cannot be listened on: Address already in use" in refused.stderr


def test_a_port_without_a_worker_is_still_not_free(config, log, tmp_path):
    """Between two workers the master holds it."""
    with running(config, log) as service:
        worker = service.worker()
        (tmp_path / "second").mkdir()
        second = write_config(tmp_path / "second", {**CONFIG, "server": {"port": service.port}})
        os.kill(service.master, signal.SIGSTOP)
        try:
            os.kill(worker, signal.SIGKILL)
            eventually("the worker is gone", lambda: not is_alive(worker))
            assert "cannot be listened on" in program(second).stderr
        finally:
            os.kill(service.master, signal.SIGCONT)
        service.worker(other_than=worker)


def test_what_stops_the_app_from_starting_is_told_once_and_ends_the_master(config, log, tmp_path):
    with running(config, log) as service:
        service.worker()
        (tmp_path / "data" / "store.db").chmod(0o600)
        other = tmp_path / "other"
        other.mkdir()
        (other / "data").write_text("in the way")
        failed = program(write_config(other, CONFIG))
    assert failed.returncode == 1
    told = [line for line in failed.stderr.splitlines() if line.startswith("store-unavailable: ")]
    assert len(told) == 1
    assert "cannot be used: File exists" in told[0] or "Not a directory" in told[0]


def test_secrets_are_in_no_argument_and_no_environment(config, log):
    secret = "a token that nobody may see"
    with running(config, log, GITOPS_AUTH__TOKENS=secret, UNRELATED="stays") as service:
        worker = service.worker()
        environment = json.loads(service.get("/environment"))
        assert environment["UNRELATED"] == "stays"
        assert secret not in str(environment)
        for pid in (worker, service.master):
            assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_memory_is_kept_private():
    code = (
        "import ctypes; from service.web.process import keep_memory_private; keep_memory_private();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_a_child_whose_parent_is_gone_already_ends_itself():
    code = "from service.web.process import die_with; die_with(1); print('still here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_strangers_reach_no_api_without_tokens(tmp_path, host):
    settings = Settings.model_validate({"data_dir": tmp_path, "server": {"host": host}})
    with pytest.raises(SettingsError, match="is open to the network, and the API has no tokens"):
        serve(settings, _never)


def test_a_name_is_no_address(tmp_path):
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "server": {"host": "gitops.example.com"}, "auth": {"tokens": ["x" * 20]}}
    )
    with pytest.raises(SettingsError, match="is no address"):
        serve(settings, _never)


def _never(_):
    raise AssertionError("the app was made")


BODY = json.dumps(payload("push")).encode()


def head(*lines, body=BODY):
    headers = [f"{name}: {value}" for name, value in github("push", body).items()]
    return "\r\n".join(["POST /webhooks/github/fraud HTTP/1.1", "Host: x", *headers, *lines, "", ""]).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    with running(write_config(folder, CONFIG), folder / "log") as service:
        service.worker()
        yield service


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(f"Content-Length: {len(BODY)}") + BODY, 202),
        (head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 202),
        (head("Transfer-Encoding: chunked") + b"zz\r\n", 401),
        (head("Content-Length: 0"), 401),
        (head(f"Content-Length: {limits.WEBHOOK_BODY_BYTES + 1}"), 413),
        (head("Content-Length: -1"), 400),
        (head("Content-Length: 1", "Content-Length: 2"), 400),
        (head("X-Long: " + "x" * 1_000_000), 431),
    ],
)
def test_what_is_wrong_on_the_wire_gets_its_status(service, sent, status):
    assert status_of(service, sent) == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(f"Content-Length: {len(BODY) + 1}") + BODY, 400),
        (head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(BODY) - 1, BODY[:-1]), 401),
    ],
)
def test_what_is_cut_on_the_wire_is_not_taken_for_a_whole(service, sent, status):
    assert status_of(service, sent, then=lambda c: c.shutdown(socket.SHUT_WR)) == status


def status_of(service, sent, then=lambda _: None):
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # it may be answered before all is sent
            connection.sendall(sent)
        then(connection)
        with contextlib.closing(http.client.HTTPResponse(connection)) as answer:
            answer.begin()
            return answer.status


def test_a_body_of_25_mib_is_held_once(service):
    """It is received, verified, compressed and spooled without a second copy of it, let alone the objects of its JSON."""
    worker = service.worker()
    start = json.dumps(payload("push"))[:-1] + ', "padding": "'
    body = start.encode() + b"x" * (limits.WEBHOOK_BODY_BYTES - len(start) - 2) + b'"}'
    assert len(body) == limits.WEBHOOK_BODY_BYTES
    before = peak_memory(worker)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("POST", "/webhooks/github/fraud", body, github("push", body))
    assert connection.getresponse().status == 202
    connection.close()
    assert peak_memory(worker) - before < 60 * limits.MIB


def peak_memory(pid):
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * limits.KIB


def program(config):
    command = [sys.executable, "-m", "tests.integration.webhooks.service", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
