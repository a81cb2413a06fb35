"""What makes the service slow or forgetful for a comparison cannot be on by accident."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from service import limits
from service.errors import SettingsError
from service.references import References, references
from service.settings import Settings, load_settings

HERE = Settings()
OPEN = Settings.model_validate({"server": {"host": "0.0.0.0"}, "auth": {"tokens": ["t" * 16]}})


def test_without_a_variable_a_service_is_itself() -> None:
    assert references(HERE, {"GITOPS_DATA_DIR": "/x", "GITOPS_BENCH_STORE_BATCH": ""}) == References()
    assert References() == References(batch=limits.STORE_BATCH_ROWS, signature_only=False, imports=())


def test_a_reference_says_in_the_log_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        asked = references(HERE, {"GITOPS_BENCH_STORE_BATCH": "1", "GITOPS_BENCH_ACKNOWLEDGE": "signature"})
    assert asked == References(batch=1, signature_only=True)
    assert "no good for anything else" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITOPS_BENCH_STORE_BATCH", "0"),
        ("GITOPS_BENCH_STORE_BATCH", "1000"),
        ("GITOPS_BENCH_STORE_BATCH", "one"),
        ("GITOPS_BENCH_ACKNOWLEDGE", "everything"),
        ("GITOPS_BENCH_IMPORTS", "../evil"),
        ("GITOPS_BENCH_FASTER", "1"),
    ],
)
def test_what_is_not_understood_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        references(HERE, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITOPS_BENCH_STORE_BATCH", "1"),
        ("GITOPS_BENCH_ACKNOWLEDGE", "signature"),
        ("GITOPS_BENCH_IMPORTS", "alembic,rich"),
    ],
)
def test_a_service_that_strangers_can_reach_refuses_each(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} in the environment of a service on 0\.0\.0\.0"):
        references(OPEN, {name: value})


def test_it_is_no_setting(tmp_path: Path) -> None:
    assert load_settings(None, {"GITOPS_DATA_DIR": str(tmp_path), "GITOPS_BENCH_ACKNOWLEDGE": "signature"})
    assert not any(name.startswith("GITOPS_BENCH_") for name in os.environ)
