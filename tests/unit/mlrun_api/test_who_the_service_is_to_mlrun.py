"""Credentials go as MLRun's SDK sends them, and no text that is shown holds one."""

from __future__ import annotations

import base64

import pytest

from service.errors import SettingsError
from service.mlrun_api.answers import masking
from service.mlrun_api.credential import headers, secrets
from service.settings import Mlrun, load_settings

KEY = "0a1b2c3d-1111-2222-3333-444455556666"


def _mlrun(**keys: str) -> Mlrun:
    return load_settings(environ={f"GITOPS_MLRUN__{key.upper()}": value for key, value in keys.items()}).mlrun


def test_each_credential_has_its_header() -> None:
    basic = base64.b64encode(f"ada:{KEY}".encode()).decode()
    assert headers(_mlrun()) == {}
    assert headers(_mlrun(token="t0ken")) == {"authorization": "Bearer t0ken"}
    assert headers(_mlrun(access_key=KEY)) == {"cookie": f'session=j:{{"sid": "{KEY}"}}'}
    assert headers(_mlrun(access_key=KEY, username="ada")) == {"authorization": f"Basic {basic}"}


def test_every_form_that_was_sent_is_taken_out_of_texts() -> None:
    mlrun = _mlrun(access_key=KEY, username="ada")
    mask = masking(frozenset(secrets(mlrun)))
    assert mask(f"got {headers(mlrun)['authorization']} and {KEY}") == "got Basic *** and ***"
    assert mask("cloned https://ada:t0ken@git.example.com/x") == "cloned https://***@git.example.com/x"


@pytest.mark.parametrize(
    "written", ["one two", 'quo"ted', "back\\slash", "line\nline", "with/slash and space", "ünïcode", "'single'"]
)
def test_a_secret_is_found_as_json_python_and_addresses_write_it(written: str) -> None:
    import json
    from urllib.parse import quote

    secret = f"begin-{written}-end"
    mask = masking(frozenset([secret]))
    forms = (
        secret,
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        quote(secret, safe=""),
        " ".join(secret.split()),
    )
    for form in forms:
        assert "begin" not in mask(f"it said {form} to us"), form


def test_nothing_is_quoted_beside_a_secret_that_every_text_holds_by_chance() -> None:
    assert "abc" not in masking(frozenset(["a"]))("abc")


def test_a_long_answer_is_cut() -> None:
    assert len(masking(frozenset())("x" * 10_000)) < 600


@pytest.mark.parametrize(
    ("keys", "said"),
    [({"token": "t0ken-1", "access_key": KEY}, "stands beside token"), ({"username": "ada"}, "has no access_key")],
)
def test_settings_that_say_two_things_are_refused(keys: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        _mlrun(**keys)
    assert KEY not in str(refused.value)
    assert "t0ken-1" not in str(refused.value)
