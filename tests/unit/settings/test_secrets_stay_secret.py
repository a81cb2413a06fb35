from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import forget_secrets, load_settings

CANARY = "canary-7c1b6f0e5d"

COMPLETE = f"""
store: {{url: "postgresql+psycopg://u:{CANARY}@h/db"}}
auth: {{tokens: [{CANARY}, {{name: ci, token: {CANARY}-2}}]}}
mlrun: {{runner_token: {CANARY}}}
repositories:
  - name: fraud
    url: https://git.example.com/ml/fraud.git
    webhook_secrets: [{CANARY}]
    credentials: {{token: {CANARY}, ssh_key: {CANARY}}}
hooks: [{{name: org, webhook_secrets: [{CANARY}]}}]
handlers:
  team: {{kind: slack, token: {CANARY}, channel: "#ml"}}
  audit: {{kind: webhook, url: "https://hooks.example.com/{CANARY}", secret: {CANARY}}}
"""


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ or {})


def test_neither_dump_nor_repr_shows_a_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE)
    assert settings.repositories[0].webhook_secrets[0].get_secret_value() == CANARY
    assert settings.handlers["team"].options["token"] == CANARY
    for shown in (json.dumps(settings.masked()), repr(settings), str(settings)):
        assert CANARY not in shown
    assert settings.masked()["handlers"]["team"]["channel"] == "#ml"


@pytest.mark.parametrize(
    "text",
    [
        f"auth: {{tokens: {{a: {CANARY}}}}}",
        f"auth: {CANARY}",
        f"auth: {{tokens: [{{name: a, token: [{CANARY}]}}]}}",
        f"auth: {{tokens: [{{nmae: {CANARY}, token: 1}}]}}",
        f"auth: {{token: {CANARY}}}",
        f"{CANARY}",
        f"store: {{url: [{CANARY}]}}",
        f"store: {{ulr: {CANARY}}}",
        f"repositories: [{CANARY}]",
        f"repositories: [{{name: a, url: 'https://me:{CANARY}@h/r', webhook_secrets: [x]}}]",
        f"repositories: [{{name: a, url: 'https://h/r', webhook_secret: {CANARY}}}]",
        f"repositories: [{{name: a, url: 'https://h/r', webhook_secrets: {{a: {CANARY}}}}}]",
        f"handlers: {{a: {{url: 'https://h/{CANARY}'}}}}",
        f"handlers: {{a: {CANARY}}}",
        f"mlrun: {{runner_token: {{x: {CANARY}}}}}",
        f"a: [{CANARY}",
        f"a: {CANARY}: x",
        f"notify: [{CANARY}]",
        f"repositories: [{{name: a, url: 'https://h/r', webhook_secrets: [!{CANARY}]}}]",
        f"auth: {{tokens: [*{CANARY}]}}",
        f"auth: {{tokens: [!{CANARY}!x]}}",
        f"auth: {{tokens: [&{CANARY} a, &{CANARY} b]}}",
        f"auth: {{tokens: [!it's-{CANARY} x]}}",
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.problems)


def test_a_secret_may_lie_in_a_file_whose_last_newline_is_not_part_of_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret-s3cret-s3cret\n", encoding="utf-8")
    settings = load(
        tmp_path,
        f"auth: {{tokens: [{{name: ci, token_file: {secret}}}]}}\n"
        f"handlers: {{audit: {{kind: webhook, url: 'https://h/x', secret_file: {secret}}}}}",
    )
    assert settings.auth.tokens[0].token.get_secret_value() == "s3cret-s3cret-s3cret"
    assert settings.handlers["audit"].options["secret"] == "s3cret-s3cret-s3cret"
    assert "s3cret" not in json.dumps(settings.masked())


def test_a_file_of_webhook_secrets_has_one_a_line(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("new\n\nold\n", encoding="utf-8")
    settings = load(tmp_path, f"repositories: [{{name: a, url: 'https://h/r', webhook_secrets_file: {secrets}}}]")
    both = settings.repositories[0].webhook_secrets
    assert [s.get_secret_value() for s in both] == ["new", "old"]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_secret_file_that_gives_nothing_is_an_error(tmp_path: Path, content: str | None) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"auth\.tokens\[0\]\.token_file"):
        load(tmp_path, f"auth: {{tokens: [{{name: ci, token_file: {secret}}}]}}")


def test_a_secret_and_its_file_together_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="stands beside runner_token"):
        load(tmp_path, "mlrun: {runner_token: x, runner_token_file: y}")


@pytest.mark.parametrize("text", ["webhook_secrets: insecure", "insecure: true"])
def test_unsigned_webhooks_need_the_word(tmp_path: Path, text: str) -> None:
    settings = load(tmp_path, f"repositories:\n- name: a\n  url: https://h/r\n  {text}")
    assert settings.repositories[0].insecure


def test_the_environment_forgets_secrets_and_keeps_the_rest() -> None:
    environ = {
        "GITOPS_CONFIG": "c.yaml",
        "GITOPS_SERVER__PORT": "1",
        "GITOPS_STORE__URL": CANARY,
        "GITOPS_AUTH__TOKENS": CANARY,
        "GITOPS_AUTH__TOKENS__CI__TOKEN": CANARY,
        "GITOPS_MLRUN__RUNNER_TOKEN": CANARY,
        "GITOPS_REPOSITORIES": CANARY,
        "GITOPS_REPOSITORIES__FRAUD__WEBHOOK_SECRETS": CANARY,
        "GITOPS_REPOSITORIES__FRAUD__CREDENTIALS__TOKEN": CANARY,
        "GITOPS_REPOSITORIES__FRAUD__POLL": "3m",
        "GITOPS_HANDLERS__TEAM__TOKEN": CANARY,
        "GITOPS_HANDLERS": CANARY,
        "GITOPS_STOER__URL": CANARY,
        "GITOPS_TOKEN": CANARY,
        "PATH": "/bin",
    }
    forget_secrets(environ)
    assert CANARY not in environ.values()
    assert set(environ) == {"GITOPS_CONFIG", "GITOPS_SERVER__PORT", "GITOPS_REPOSITORIES__FRAUD__POLL", "PATH"}
