"""Canaries in every setting that is secret, and a look at everything that is said: answers, errors, document, log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from service.settings import Settings
from tests.integration.api.conftest import make_api
from tests.integration.api.rows import tell

CANARY = "canary-93b1d6c2e7f0a4"


@pytest.mark.parametrize("authorized", [True, False])
def test_no_answer_and_no_log_has_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], authorized: bool
) -> None:
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "auth": {"tokens": [{"name": "ci", "token": f"{CANARY}-token"}]},
            "mlrun": {"runner_token": CANARY},
            "repositories": [
                {
                    "name": "fraud",
                    "url": "https://git.example.com/ml/fraud.git",
                    "webhook_secrets": [CANARY],
                    "credentials": {"token": CANARY, "ssh_key": CANARY},
                }
            ],
            "hooks": [{"name": "org", "webhook_secrets": [CANARY]}],
            "handlers": {
                "audit": {
                    "kind": "webhook",
                    "url": f"http://127.0.0.1:9/{CANARY}",
                    "secret": "whsec_" + "Y2FuYXJ5LTkzYjFkNmMyZTdmMGE0LXRva2VuLTAx",
                    "allow_private": True,
                }
            },
        }
    )
    caplog.set_level(logging.DEBUG)
    served = make_api(settings)
    try:
        story = tell(served.store)
        # Sent as a header in whatever form; said back in none.
        headers = {"Authorization": f"Bearer {CANARY}-token" if authorized else f"Basic {CANARY}"}
        document = served.client.get("/openapi.json")
        said = [document.text]
        assert document.json is not None
        for path, operations in document.json["paths"].items():
            for id_ in (story.run, story.sync, story.delivery, story.schedule, story.notification, "r1"):
                for name in ("fraud", "audit"):
                    for method in operations:
                        response = served.client.open(
                            path.replace("{id}", id_).replace("{name}", name),
                            method=method.upper(),
                            json={} if method == "post" else None,
                            headers=headers,
                        )
                        said.append(response.text + str(response.headers))
    finally:
        served.store.close()
    captured = capfd.readouterr()
    said += [caplog.text, captured.out, captured.err]
    assert not [text for text in said if CANARY in text or "Y2FuYXJ5LTkz" in text]
    assert len(said) > 30
