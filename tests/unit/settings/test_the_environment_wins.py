from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import load_settings


def load(tmp_path: Path, text: str, **environ: str):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(None, {"GITOPS_CONFIG": str(file), **environ})


REPOSITORIES = """
repositories:
- {name: fraud, url: "https://h/fraud", webhook_secrets: [a]}
- {name: churn-model, url: "https://h/churn", webhook_secrets: [b]}
"""


def test_a_variable_goes_over_the_files_value(tmp_path: Path) -> None:
    settings = load(tmp_path, "server: {port: 1, threads: 4}", GITOPS_SERVER__PORT="2")
    assert (settings.server.port, settings.server.threads) == (2, 4)


def test_without_a_file_the_environment_is_enough() -> None:
    settings = load_settings(
        None,
        {
            "GITOPS_DATA_DIR": "/var/lib/x",
            "GITOPS_LAUNCHER__RUN_TIMEOUT": "2h",
            "GITOPS_LAUNCHER__WARM": "false",
            "GITOPS_POLICY__IMAGES": "a/*, b/*",
            "GITOPS_REPOSITORIES__FRAUD__URL": "https://h/fraud",
            "GITOPS_REPOSITORIES__FRAUD__WEBHOOK_SECRETS": "new\nold",
            "GITOPS_NOTIFY": '[{"to": "console", "on": ["run.failed"]}]',
        },
    )
    assert settings.data_dir == Path("/var/lib/x")
    assert settings.launcher.run_timeout == 7200
    assert settings.launcher.warm is False
    assert settings.policy.images == ("a/*", "b/*")
    assert settings.repositories[0].name == "fraud"
    assert [s.get_secret_value() for s in settings.repositories[0].webhook_secrets] == ["new", "old"]  # type: ignore[union-attr]
    assert settings.notify[0].on == ("run.failed",)


@pytest.mark.parametrize("which", ["CHURN_MODEL", "1"])
def test_an_entry_is_found_by_name_or_number(tmp_path: Path, which: str) -> None:
    settings = load(tmp_path, REPOSITORIES, **{f"GITOPS_REPOSITORIES__{which}__POLL": "30s"})
    assert [r.poll for r in settings.repositories] == [180.0, 30.0]


def test_a_handlers_option_is_found_whatever_its_spelling(tmp_path: Path) -> None:
    settings = load(tmp_path, "handlers: {team-ml: {kind: slack}}", GITOPS_HANDLERS__TEAM_ML__TOKEN="t")
    assert settings.handlers["team-ml"].options == {"token": "t"}


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, "server: {port: 1}", GITOPS_SERVER__PORT="").server.port == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GITOPS_SERVRE__PORT", "1", "did you mean server?"),
        ("GITOPS_DATADIR", "x", "did you mean data_dir?"),
        ("GITOPS_SERVER__PORT", "many", "from GITOPS_SERVER__PORT"),
        ("GITOPS_DATA_DIR__X", "1", "leads below"),
        ("GITOPS_REPOSITORIES__7__URL", "https://h/r", "there are only 2 entries"),
        ("GITOPS_REPOSITORIES", "{", "neither JSON nor YAML"),
        ("GITOPS_NOTIFY", "[2020-99-99]", "neither JSON nor YAML"),
        ("GITOPS_NOTIFY", "[" * 5000, "neither JSON nor YAML"),
    ],
)
def test_a_variable_that_is_wrong_is_named(tmp_path: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, REPOSITORIES, **{name: value})
    assert said in str(caught.value)


def test_a_secret_that_looks_like_a_list_and_is_none_is_taken_as_it_stands(tmp_path: Path) -> None:
    settings = load(tmp_path, REPOSITORIES, GITOPS_REPOSITORIES__FRAUD__WEBHOOK_SECRETS="[2020-99-99]")
    [secret] = settings.repositories[0].webhook_secrets
    assert secret.get_secret_value() == "[2020-99-99]"


def test_variables_of_others_are_let_be(tmp_path: Path) -> None:
    """The CLI's, the fault tests', and what Kubernetes injects for a Service named gitops."""
    others = {
        "GITOPS_URL": "http://x",
        "GITOPS_TOKEN": "t",
        "GITOPS_CRASH_AT": "x",
        "GITOPS_PORT": "tcp://10.0.0.1:80",
        "GITOPS_PORT_80_TCP_ADDR": "10.0.0.1",
        "GITOPS_SERVICE_HOST": "10.0.0.1",
    }
    assert load(tmp_path, "", **others) == load(tmp_path, "")


def test_yamls_on_is_a_word_here(tmp_path: Path) -> None:
    """YAML 1.1 reads `on:` as true, and config.yaml has such a key."""
    assert load(tmp_path, "notify: [{to: console, on: [run.*]}]").notify[0].on == ("run.*",)


def test_console_is_there_even_beside_others(tmp_path: Path) -> None:
    settings = load(tmp_path, "handlers: {audit: {kind: webhook}}")
    assert set(settings.handlers) == {"console", "audit"}
    assert [s.to for s in settings.notify] == ["console"]


def test_beyond_loopback_the_api_needs_tokens_and_runners_a_word_of_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "server: {host: 0.0.0.0}")
    assert [p.key for p in caught.value.problems] == ["server.host", "launcher.trusted"]  # type: ignore[attr-defined]
    tokens = "auth: {tokens: [0123456789abcdef]}"
    with pytest.raises(SettingsError, match=r"launcher\.trusted"):
        load(tmp_path, f"server: {{host: 0.0.0.0}}\n{tokens}")
    assert load(tmp_path, f"server: {{host: 0.0.0.0}}\n{tokens}\nlauncher: {{trusted: true}}").launcher.trusted
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not load(tmp_path, f"server: {{host: 0.0.0.0}}\n{tokens}").launcher.trusted


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_loopback_needs_neither(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, f"server: {{host: '{host}'}}").server.loopback


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "127.evil.example", "::", "0.0.0.0", ""])
def test_what_only_looks_like_loopback_is_none(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.host"):
        load(tmp_path, f"server: {{host: '{host}'}}")
