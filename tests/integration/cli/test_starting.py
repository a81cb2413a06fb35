"""`init`: a config.yaml that starts, and a forge's form filled in; nothing is overwritten, no secret shown by accident."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from service.cli.forms import FORMS
from service.receiver import FORGES
from service.settings import load_settings
from tests.integration.cli.conftest import ROOT, Said, alone
from tests.integration.cli.terminal import on_a_terminal

URL = "https://github.com/acme/fraud.git"


def init(at: Path, *words: str) -> Said:
    return alone("init", *words, at=at)


def test_what_is_written_loads_and_what_is_printed_is_what_the_forge_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = init(tmp_path, URL, "--public-url", "https://gitops.example.com/")
    assert said.code == 0, said.err
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("config.yaml"), environ={})
    [repository] = settings.repositories
    assert (repository.name, repository.url, repository.forge) == ("fraud", URL, "github")
    assert "https://gitops.example.com/webhooks/github/fraud\n" in said.out
    assert "https://github.com/acme/fraud/settings/hooks/new" in said.out
    assert "application/json" in said.out
    assert re.search(r"mlrun-gitops doctor --config config\.yaml\n +mlrun-gitops serve --config config\.yaml", said.out)
    secret = tmp_path / "fraud.webhook-secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert repository.webhook_secrets[0].get_secret_value() == secret.read_text().strip()  # type: ignore[union-attr]
    assert len(secret.read_text().strip()) == 64
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if not line.lstrip().startswith("#")]) <= 10


def test_the_secret_is_shown_where_somebody_looks_or_asks_for_it(tmp_path: Path) -> None:
    piped = init(tmp_path, URL)
    secret = (tmp_path / "fraud.webhook-secret").read_text(encoding="utf-8").strip()
    assert secret not in piped.out + piped.err
    assert "cat fraud.webhook-secret" in piped.out
    assert secret in init(tmp_path, URL, "--force", "--show-secret").out
    assert init(tmp_path, URL, "--force", "--json").data["webhook"]["secret"] is None
    assert init(tmp_path, URL, "--force", "--json", "--show-secret").data["webhook"]["secret"] == secret
    code, shown = on_a_terminal("init", URL, "--force", at=tmp_path)
    assert code == 0
    assert secret in re.sub(r"\s", "", shown)
    assert max(map(len, shown.splitlines())) <= 80


def test_a_config_is_overwritten_only_by_force_and_a_secret_never(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("repositories: []\n", encoding="utf-8")
    (tmp_path / "fraud.webhook-secret").write_text("known-to-the-forge\n", encoding="utf-8")
    refused = init(tmp_path, URL)
    assert refused.code == 1
    assert "--force" in refused.err
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == "repositories: []\n"
    said = init(tmp_path, URL, "--force")
    assert (said.code, "was there and stays" in said.out) == (0, True)
    assert (tmp_path / "fraud.webhook-secret").read_text(encoding="utf-8") == "known-to-the-forge\n"


def test_at_a_terminal_it_asks_for_what_it_is_not_told(tmp_path: Path) -> None:
    answers = ["https://git.example.com/ml/Churn.git", "", "", "https://gitops.example.com", "github"]
    code, shown = on_a_terminal("init", at=tmp_path, answers=answers)
    assert code == 0, shown
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "name: churn" in text
    assert "forge: github" in text
    assert "server: {public_url: https://gitops.example.com}" in text
    assert "https://git.example.com/ml/Churn/settings/hooks/new" in shown


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "URL"),
        (["ftp://github.com/acme/fraud.git"], 2, "only https://, http:// and ssh:// addresses"),
        (["git@github.com:acme/fraud.git"], 2, "write ssh://git@github.com/acme/fraud.git"),
        (["https://ada:s3cret@github.com/acme/fraud.git"], 2, "move them to credentials.username"),
        ([URL, "--public-url", "gitops"], 2, "server.public_url"),
        ([URL, "--name", "Fraud Team"], 2, "is no name"),
        ([URL, "--name", "../fraud"], 2, "is no name"),
        ([URL, "--forge", "gitlab"], 2, "is not understood yet"),
        ([URL, "--forge", "nobody"], 2, "none of the choices"),
        ([URL, "--forge", "github\nx: y"], 2, "none of the choices"),
        ([URL, "--token-file", "nowhere"], 2, "credentials.token_file = 'nowhere': cannot be read"),
        (["https://gitlab.com/acme/fraud.git"], 1, "--forge generic"),
        (["https://git.example.com/acme/fraud.git"], 1, "--forge with one of github, generic"),
        ([URL, "--slack-token-file", "token"], 2, "go together"),
        ([URL, "--slack-url-file", "a", "--slack-channel", "#b"], 2, "leave the other two out"),
        ([URL, "--config", "/proc/nowhere/config.yaml"], 1, "Choose another place by --config"),
        ([URL, "--config", "/dev/null/config.yaml"], 1, "Choose another place by --config"),
    ],
)
def test_what_would_not_start_is_not_written(tmp_path: Path, words: list[str], code: int, told: str) -> None:
    said = init(tmp_path, *words)
    assert said.code == code, said
    assert told in said.err
    assert "s3cret" not in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_config_elsewhere_names_its_files_whole(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t", encoding="utf-8")
    said = init(tmp_path, URL, "--config", "etc/config.yaml", "--token-file", "token")
    assert said.code == 0, said.err
    text = (tmp_path / "etc/config.yaml").read_text(encoding="utf-8")
    assert f"webhook_secrets_file: {tmp_path}/etc/fraud.webhook-secret" in text
    assert f"credentials: {{token_file: {tmp_path}/token}}" in text
    load_settings(tmp_path / "etc/config.yaml", environ={})


def test_words_that_mean_something_in_yaml_stay_words(tmp_path: Path) -> None:
    (tmp_path / "a, b}.token").write_text("t", encoding="utf-8")
    said = init(tmp_path, URL, "--token-file", "a, b}.token", "--branch", "on", "--name", "1e3")
    assert said.code == 0, said.err
    os.chdir(tmp_path)
    try:
        [repository] = load_settings(Path("config.yaml"), environ={}).repositories
    finally:
        os.chdir(ROOT)
    assert (repository.branch, repository.name) == ("on", "1e3")


def test_every_forge_that_is_understood_has_its_form() -> None:
    assert FORMS.keys() == FORGES.keys()
