"""ssh: one key, in a file of its own for one fetch, and a client that asks nobody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.errors import RepositoryUnreachable
from service.settings import Credentials, Repository, Settings
from service.source import Source
from service.source.address import parse_address
from service.source.credentials import access
from tests.integration.source.conftest import Place

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----"

# In the place of ssh: writes down how it was called, then does what the other side's sshd would do.
SSH = f"""#!{sys.executable}
import json, os, sys
options = [a for a in sys.argv if a.startswith("-o")]
key = next(o.split("=", 1)[1] for o in options if o.startswith("-oIdentityFile")).strip('"')
with open({{log!r}}, "w") as log:
    json.dump({{{{
        "argv": sys.argv, "environ": dict(os.environ),
        "mode": oct(os.stat(key).st_mode & 0o777), "key": open(key).read(), "path": key,
    }}}}, log)
os.execvp("sh", ["sh", "-c", sys.argv[-1]])
"""


def over_ssh(place: Place, key: str = KEY) -> tuple[Source, Repository]:
    repository = Repository(
        name="fraud",
        url=f"ssh://git@127.0.0.1:2222{place.repository.path}",
        webhook_secrets="insecure",
        credentials=Credentials(ssh_key=SecretStr(key)),
    )
    return Source(Settings(data_dir=place.data, repositories=(repository,))), repository


def test_a_fetch_over_ssh_shows_the_key_to_ssh_alone(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "ssh.json"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH.format(log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    commit = place.push({"a": "1"})
    source, repository = over_ssh(place)
    assert source.fetch(repository).commit("refs/heads/main") == commit
    seen = json.loads(log.read_text())
    assert seen["mode"] == "0o600"
    assert seen["key"] == KEY + "\n"
    assert not Path(seen["path"]).exists(), "only for the time of the fetch"
    assert "bm90IGEga2V5" not in f"{seen['argv']} {seen['environ']}"
    assert "SSH_AUTH_SOCK" not in seen["environ"]
    assert {
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=accept-new",
        "-oIdentitiesOnly=yes",
        "-oIdentityAgent=none",
    } <= set(seen["argv"])
    assert seen["argv"][-2:] == ["git@127.0.0.1", f"git-upload-pack '{place.repository.path}'"]


def test_the_real_client_understands_every_option(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh client here")
    url = "ssh://git@example.com/x.git"
    repository = Repository(
        name="x", url=url, webhook_secrets="insecure", credentials=Credentials(ssh_key=SecretStr(KEY))
    )
    odd = tmp_path / "a folder's %d"
    odd.mkdir()
    with access(repository, parse_address("x", url), known_hosts=odd / "known", keys=odd) as given:
        done = subprocess.run(
            f"{given.env['GIT_SSH_COMMAND']} -G example.com", shell=True, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    config = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert config["batchmode"] == "yes"
    assert config["stricthostkeychecking"] == "accept-new"
    assert config["forwardagent"] == "no"
    assert config["identityagent"] == "none"
    assert config["userknownhostsfile"] == str(odd / "known")
    assert config["identityfile"].startswith(f"{odd}/key-".replace("%", "%%"))


def test_a_server_that_is_not_there_is_told(place: Place) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh client here")
    source, repository = over_ssh(place)
    with pytest.raises(RepositoryUnreachable, match="refuses the connection"):
        source.fetch(repository.model_copy(update={"url": "ssh://git@127.0.0.1:1/x.git"}))
    assert not list((place.data / "mirrors").rglob("key-*"))
