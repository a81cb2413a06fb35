from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import load_settings


def problems(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Key → the whole line about it."""
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ or {})
    assert str(file) in str(caught.value)
    return {problem.key: str(problem) for problem in caught.value.problems}  # type: ignore[attr-defined]


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "server: {port: 99999, hots: x}\nlauncher: {kind: proces, load_timeout: 3x}\nnotify: [{to: console, severity: loud}]",
    )
    assert set(found) == {
        "server.port",
        "server.hots",
        "launcher.kind",
        "launcher.load_timeout",
        "notify[0].severity",
    }


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("server: {port: 99999}", "server.port", "99999"),
        ("server: {hots: x}", "server.hots", "did you mean host?"),
        ("serve: {}", "serve", "did you mean server?"),
        ("launcher: {kind: proces}", "launcher.kind", "'process', 'kubernetes' or 'mlrun'"),
        ("launcher: {load_timeout: 3x}", "launcher.load_timeout", "write for example 90s"),
        ("mlrun: {version: '1.7.0'}", "mlrun.version", "'1.8.0', '1.9.2', '1.10.4' or '1.12.1'"),
        ("server: [1]", "server", "must be a mapping"),
        ("repositories: {a: b}", "repositories", "must be a list"),
        ("auth: {oidc: {issuer: x}}", "auth.oidc", "must be None"),
        ("notify: [{to: nobody}]", "notify[0].to", "handlers has: console"),
        ("notify: [{to: console, on: [run.fialed]}]", "notify[0].on", "run.*"),
        ("handlers: {'A b': {kind: console}}", "handlers.A b", "lower-case"),
        (
            "repositories: [{name: Fraud, url: 'https://h/r', webhook_secrets: [x]}]",
            "repositories[0].name",
            "lower-case",
        ),
        ("repositories: [{name: a, url: 'https://h/r'}]", "repositories[0].webhook_secrets", "write `insecure`"),
        ("repositories: [{name: a, webhook_secrets: [x]}]", "repositories[0].url", "is missing"),
        (
            "repositories: [{name: a, url: 'https://h/r', webhook_secrets: [x], branch: \"main}\\n\"}]",
            "repositories[0].branch",
            "is no branch",
        ),
        (
            "repositories: [{name: a, url: 'https://h:99999/r', webhook_secrets: [x]}]",
            "repositories[0].url",
            "can't be fetched",
        ),
        (
            "repositories: [{name: a, url: 'https://github.com/', webhook_secrets: [x]}]",
            "repositories[0].url",
            "names no repository",
        ),
        (
            "repositories: [{name: a, url: 'git@host:o/r.git', webhook_secrets: [x]}]",
            "repositories[0].url",
            "ssh://git@host/o/r.git",
        ),
        ("repositories: [{name: a, url: 'file:///etc', webhook_secrets: [x]}]", "repositories[0].url", "ssh://"),
        ("repositories: [{name: a, url: 'ext::sh', webhook_secrets: [x]}]", "repositories[0].url", "ssh://"),
        (
            "repositories: [{name: a, url: 'http://git.example.com/r', webhook_secrets: [x], credentials: {token: t}}]",
            "repositories[0].url",
            "unencrypted",
        ),
        (
            "repositories: [{name: a, url: 'https://h/r', insecure: true}, {name: a, url: 'https://h/s', insecure: true}]",
            "repositories[1].name",
            "is taken by repositories[0].name",
        ),
        (
            "repositories: [{name: a, url: 'https://h/r', webhook_secrets: [x]}]\nhooks: [{name: a, webhook_secrets: [x]}]",
            "hooks[0].name",
            "is taken by repositories[0].name",
        ),
        ("auth: {tokens: [short]}", "auth.tokens[0].token", "mlrun-gitops token"),
        ("server: {public_url: gitops.example.com}", "server.public_url", "https://gitops.example.com"),
    ],
)
def test_a_problem_names_key_and_mend(tmp_path: Path, text: str, key: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert list(found) == [key]
    assert said in found[key]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {port: 1}\nserver: {port: 2}", "line 2, column 1: the key server stands twice"),
        ("a: [1", "line 1"),
        ("server:\n  ? [a]: 1", "line 2, column 5: a key is a word"),
        ("handlers: {? {x: 1}: 2}", "line 1, column 14: a key is a word"),
        ("just words", "holds no settings"),
        ("a: !!python/object/apply:os.system [id]", "line 1"),
    ],
)
def test_a_file_that_is_no_settings_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=str(file)) as caught:
        load_settings(file, {})
    assert said in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SettingsError, match="config.yaml"):
        load_settings(file, {})


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GITOPS_CONFIG"):
        load_settings(tmp_path / "none.yaml", {})
