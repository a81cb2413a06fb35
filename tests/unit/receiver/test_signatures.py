"""Only a secret's holder gets in, and all others learn nothing."""

import hmac

import pytest

from service.errors import Unauthorized
from service.receiver import FORGES
from tests.unit.receiver.sample import signature

GITHUB = FORGES["github"]
BODY = b"Hello, World!"
# From GitHub's documentation, "Validating webhook deliveries".
DOCUMENTED_SECRET = b"It's a Secret to Everybody"
DOCUMENTED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def verify(given, secrets, body=BODY):
    GITHUB.verify({"x-hub-signature-256": given} if given is not None else {}, body, secrets)


def test_the_documented_example_passes():
    verify(DOCUMENTED, [DOCUMENTED_SECRET])


def test_hex_digits_may_be_in_upper_case():
    verify("sha256=" + DOCUMENTED.removeprefix("sha256=").upper(), [DOCUMENTED_SECRET])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_of_several_secrets_will_do(place):
    secrets = [b"first", b"second", b"third"]
    verify(signature(BODY, secrets[place]), secrets)


@pytest.mark.parametrize(
    ("given", "because"),
    [
        (None, "X-Hub-Signature-256 is missing"),
        ("", "X-Hub-Signature-256 is missing"),
        ("sha256=", "is not of the form sha256=<64 hex digits>"),
        ("sha1=757107ea0eb2509fc211221cce984b8a37570b6d", "is not of the form"),
        (DOCUMENTED.removeprefix("sha256="), "is not of the form"),
        (DOCUMENTED + "00", "is not of the form"),
        (DOCUMENTED + "," + DOCUMENTED, "is not of the form"),
        ("sha256=" + "é" * 64, "is not of the form"),
        ("sha256=" + "\x00" * 64, "is not of the form"),
        ("sha256=" + "0" * 64, "matches no secret of this hook"),
        (signature(BODY, b"another"), "matches no secret of this hook"),
        (signature(BODY + b"!", DOCUMENTED_SECRET), "matches no secret of this hook"),
    ],
)
def test_anything_else_is_refused(given, because):
    with pytest.raises(Unauthorized, match=because.replace("(", "\\(")):
        verify(given, [DOCUMENTED_SECRET])


def test_without_a_secret_nothing_passes():
    with pytest.raises(Unauthorized):
        verify(signature(BODY, b""), [])


@pytest.mark.parametrize("given", [signature(BODY, b"first"), signature(BODY, b"nobody's"), None])
def test_every_secret_is_compared_whichever_matches(given, monkeypatch):
    compared = []
    real = hmac.compare_digest

    def watched(one, other):
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    try:
        verify(given, [b"first", b"second", b"third"])
    except Unauthorized:
        pass
    assert len(compared) == 3
