"""What to fill into a forge's form for a webhook, so that nobody has to guess: one entry a forge that we understand."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from service.settings import Settings

_HERE = "https://YOUR-ADDRESS"


@dataclass(frozen=True, slots=True)
class Form:
    """`page` is where the form is, `{web}` being the repository's own page; the other names are those of its fields."""

    forge: str
    page: str
    address: str
    secret: str
    content_type: str
    events: str


FORMS = {
    "github": Form(
        "GitHub",
        "{web}/settings/hooks/new",
        "Payload URL",
        "Secret",
        "application/json",
        "Let me select individual events: Pushes, Branch or tag creation, Branch or tag deletion",
    ),
    "generic": Form(
        "Whatever sends the webhooks",
        "docs/guide/getting-started.md has a script for it",
        "URL",
        "HMAC-SHA256 key of X-Signature-256",
        "application/json",
        "pushes, and branches and tags that come and go",
    ),
}


def page_of(form: Form, url: str) -> str:
    """Where the form of the repository at `url` is."""
    parts = urlsplit(url)
    return form.page.format(web=f"https://{parts.hostname}{parts.path.rstrip('/').removesuffix('.git')}")


def address_of(settings: Settings, name: str) -> tuple[str, bool]:
    """Where webhooks of the repository `name` go to, and whether that is the whole address."""
    base = settings.server.public_url
    path = f"/webhooks/{settings.hooks_by_name[name].forge}/{name}"
    return f"{base or _HERE}{path}", base is not None
