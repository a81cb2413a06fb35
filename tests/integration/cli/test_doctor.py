"""`doctor` against what is really there: a Git server, a service, a store, files, handlers."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from service.store import open_store
from tests.integration.cli.conftest import Said, alone
from tests.integration.cli.terminal import on_a_terminal
from tests.peers.git_http import GitServer, Mode
from tests.peers.mlrun_stand_in.process import MlrunStandIn
from tests.peers.recorder import Recorder
from tests.peers.service_process import ServiceProcess

pytestmark = pytest.mark.runner


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "forge", password="canary-5d0c-password") as server:
        work = server.create("ml/fraud", private=True).clone(tmp_path / "work")
        work.commit({"project.yaml": "metadata: {name: fraud}\n"})
        work.push()
        yield server


class Doctor:
    """`config` is asked about; what was said about `what` is `self[what]`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {"data_dir": str(folder / "data"), "server": {"port": free_port()}}
        self.said = Said(0, "", "")

    def look(self, *words: str, **environment: str) -> Said:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
        self.said = alone(
            "doctor", "--config", "config.yaml", "--json", *words, at=self.folder, environment=environment
        )
        assert "canary" not in self.said.out + self.said.err
        return self.said

    def __getitem__(self, what: str) -> tuple[str, str]:
        """Level, and everything that was said."""
        found = [one for one in self.said.data["findings"] if one["what"] == what]
        levels = [one["level"] for one in found]
        words = "\n".join(f"{one['said']} | {one['mend']} | {one['detail']}" for one in found)
        return ("bad" if "bad" in levels else "doubtful" if "doubtful" in levels else levels[0]), words

    def repository(self, server: GitServer, name: str = "fraud", **also: Any) -> dict[str, Any]:
        secret, token = self.folder / "hook.secret", self.folder / f"{name}.token"
        secret.write_text("canary-5d0c-hook-secret\n", encoding="utf-8")
        token.write_text(server.password + "\n", encoding="utf-8")
        for path in (secret, token):
            path.chmod(0o600)
        credentials = {"username": server.user, "token_file": str(token)}
        one = {"name": name, "url": server.repositories["ml/fraud"].url, "webhook_secrets_file": str(secret)}
        return {**one, "credentials": credentials, **also}


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_all_is_well_where_all_is_well(doctor: Doctor, forge: GitServer) -> None:
    doctor.config["repositories"] = [doctor.repository(forge)]
    doctor.config["server"]["public_url"] = "https://gitops.example.com"
    said = doctor.look()
    assert (said.code, said.data["ok"]) == (0, True), said.out
    assert {one["level"] for one in said.data["findings"]} == {"good"}, said.out
    assert doctor["repository fraud"][1].startswith("answers; branches: 1, tags: 0; main counts")
    assert "3.9." in doctor["runner python"][1]
    assert not (doctor.folder / "data").exists(), "a look leaves nothing behind"
    code, shown = on_a_terminal("doctor", "--config", "config.yaml", at=doctor.folder)
    assert code == 0
    assert "✓ repository fraud" in shown
    assert shown.splitlines()[-1] == "all is well"
    assert max(map(len, shown.splitlines())) <= 80


def test_each_way_a_repository_fails_is_told_with_its_mend(doctor: Doctor, forge: GitServer) -> None:
    repository = forge.repositories["ml/fraud"]
    wrong = doctor.folder / "wrong.token"
    wrong.write_text("canary-5d0c-wrong", encoding="utf-8")
    wrong.chmod(0o600)
    refused = doctor.repository(forge, "refused")
    refused["credentials"]["token_file"] = str(wrong)
    doctor.config["repositories"] = [
        refused,
        doctor.repository(forge, "branchless", branch="prod"),
        doctor.repository(forge, "gone", url=f"{forge.url}/nobody.git"),
        doctor.repository(forge, "silent", url=f"http://127.0.0.1:{free_port()}/x.git"),
        doctor.repository(forge, "open") | {"webhook_secrets_file": None, "webhook_secrets": "insecure"},
    ]
    assert doctor.look().code == 1
    assert doctor["repository refused"][0] == "bad"
    assert "refuses the credentials | The token or password is wrong" in doctor["repository refused"][1]
    assert "it has no branch 'prod' | set its branch to one of main" in doctor["repository branchless"][1]
    assert "is gone, or hidden" in doctor["repository gone"][1]
    assert "refuses the connection" in doctor["repository silent"][1]
    assert doctor["repository open"][0] == "doubtful"
    assert "unsigned" in doctor["repository open"][1]
    repository.behave(Mode.MOVED)
    doctor.config["repositories"] = [doctor.repository(forge)]
    doctor.look()
    assert "redirect" in doctor["repository fraud"][1]


def test_files_of_secrets_that_others_can_read_are_told_and_closed_when_asked(doctor: Doctor, forge: GitServer) -> None:
    doctor.config["repositories"] = [doctor.repository(forge)]
    token = doctor.folder / "fraud.token"
    token.chmod(0o644)
    assert doctor.look().code == 0
    assert doctor["secrets"][0] == "doubtful"
    assert f"chmod 0600 {token}" in doctor["secrets"][1]
    assert "repositories[0].credentials.token_file" in doctor["secrets"][1]
    (doctor.folder / "config.yaml").chmod(0o644)
    doctor.look()
    assert "the settings themselves" not in doctor["secrets"][1]
    doctor.config["auth"] = {"tokens": [{"name": "ci", "token": "canary-5d0c-api-token"}]}
    doctor.look()
    assert "config.yaml (the settings themselves) can be read by others (mode 0644)" in doctor["secrets"][1]
    doctor.look("--fix")
    assert token.stat().st_mode & 0o777 == 0o600
    assert doctor["secrets"][0] == "good"


def test_a_running_service_is_found_and_not_disturbed(doctor: Doctor) -> None:
    with ServiceProcess(doctor.folder, {"launcher": {"warm": False}}) as service:
        doctor.config |= {"server": {"port": service.port}, "data_dir": str(service.data_dir)}
        assert doctor.look().code == 0
        assert "a service is running and ready" in doctor["port"][1]
        assert "in use by the service (process " in doctor["store"][1]
        assert service.get("/projects")["items"] == []


def test_a_port_that_somebody_else_has_is_told(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        doctor.config["server"]["port"] = other.getsockname()[1]
        assert doctor.look().code == 1
    assert "something else answers" in doctor["port"][1]


def test_a_store_of_a_newer_version_or_one_that_is_none_is_told(doctor: Doctor) -> None:
    data = doctor.folder / "data"
    open_store(Settings.model_validate({"data_dir": data})).close()
    doctor.look()
    assert doctor["store"][0] == "good"
    import sqlite3

    with sqlite3.connect(data / "store.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        doctor.look()
        assert doctor["store"][0] == "good"
        assert "a newer version added to it" in doctor["store"][1]
        connection.execute("UPDATE structure SET oldest = '9.0.0'")
    connection.close()
    assert doctor.look().code == 1
    assert "written by a newer version" in doctor["store"][1]
    (data / "store.db").write_bytes(b"no database at all" * 100)
    assert doctor.look().code == 1
    assert "cannot be read" in doctor["store"][1]


def test_handlers_are_checked_without_a_word_and_tested_when_asked(doctor: Doctor) -> None:
    with Recorder() as listener:
        doctor.config["handlers"] = {
            "listener": listener.settings(),
            "wrong": {"kind": "webhook", "url": "https://hooks.example.com/canary", "secret": "canary"},
            "nobody": {"kind": "pigeon"},
        }
        assert doctor.look().code == 1
        assert doctor["handler listener"] == ("good", "webhook: its host answers |  | ")
        assert listener.received == {}
        assert "handlers.wrong.secret: is no webhook secret" in doctor["handler wrong"][1]
        assert "is no kind of handler | there are: console" in doctor["handler nobody"][1]
        doctor.look("--send")
        assert [message["event"] for message in listener.received.values()] == ["test"]
    doctor.look()
    assert doctor["handler listener"][0] == "bad"


def test_what_is_wrong_with_the_settings_is_all_there_is_to_say(doctor: Doctor) -> None:
    doctor.config |= {"sever": {}, "notify": [{"to": 1}]}
    said = doctor.look()
    assert said.code == 1
    assert {one["what"] for one in said.data["findings"]} == {"settings"}
    assert "did you mean server?" in doctor["settings"][1]


def test_what_this_version_does_not_have_is_told(doctor: Doctor) -> None:
    doctor.config["launcher"] = {"kind": "mlrun"}
    assert doctor.look().code == 1
    assert "is missing, and the launcher mlrun runs workflows by it" in doctor["settings"][1]


@pytest.mark.parametrize("place", ["a" * 300, "file/below"])
def test_a_data_dir_that_cannot_be_is_a_finding_like_others(doctor: Doctor, place: str) -> None:
    (doctor.folder / "file").touch()
    doctor.config["data_dir"] = place
    doctor.look()
    assert "data_dir" in {one["what"] for one in doctor.said.data["findings"]}
    assert "port" in {one["what"] for one in doctor.said.data["findings"]}


def test_no_python_that_runs_is_told_with_what_was_tried(doctor: Doctor) -> None:
    doctor.config["launcher"] = {"runner_python": "/bin/false"}
    assert doctor.look().code == 1
    assert "No Python 3.9 that runs" in doctor["runner"][1]
    assert "/bin/false" in doctor["runner"][1]


def test_an_environment_that_is_not_there_is_worth_a_look(doctor: Doctor) -> None:
    with tempfile.TemporaryDirectory(prefix="gitops-doctor-test-") as reachable:
        Path(reachable).chmod(0o755)  # for the user that jobs have where the service is root
        doctor.config["launcher"] = {"cache_dir": f"{reachable}/cache"}
        doctor.look()
    level, said = doctor["runner"]
    assert level == "doubtful", said
    assert "doctor --fix" in said


@pytest.mark.runners
def test_the_mlrun_api_is_asked_what_it_is_and_whether_we_may_look(doctor: Doctor, mlrun_1_9: MlrunStandIn) -> None:
    doctor.config["server"]["internal_url"] = "http://mlrun-gitops.example.com"
    doctor.config["mlrun"] = {"api": mlrun_1_9.url, "token": "canary-5d0c-mlrun"}
    mlrun_1_9.ask_for(kind="token", token="canary-5d0c-mlrun")
    doctor.look()
    assert doctor["MLRun API"] == ("good", f"{mlrun_1_9.url} answers, MLRun 1.9.2 |  | ")
    assert doctor["MLRun credential"][1].startswith("the service is let in by its token")
    assert mlrun_1_9.writes() == []

    doctor.config["mlrun"]["version"] = "1.12.1"
    doctor.look()
    assert doctor["MLRun API"][0] == "doubtful"
    assert "MLRun 1.9.2; projects are loaded by MLRun 1.12.1" in doctor["MLRun API"][1]

    doctor.config["mlrun"] = {"api": mlrun_1_9.url, "token": "canary-5d0c-wrong"}
    assert doctor.look().code == 1
    assert doctor["MLRun API"][0] == "bad"
    assert "does not know us (401)" in doctor["MLRun API"][1]

    doctor.config["mlrun"] = {"api": f"http://127.0.0.1:{free_port()}"}
    assert doctor.look().code == 1
    assert "Connection refused" in doctor["MLRun API"][1]
