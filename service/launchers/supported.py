"""Which launchers this version has, told without loading one: `doctor` asks this of settings, and so does the app before it makes them."""

from __future__ import annotations

from service.errors import SettingsError
from service.settings import Settings

NAMES = ("process", "kubernetes", "mlrun")


def check_supported(settings: Settings) -> None:
    """Raises SettingsError for what may be written in settings and this version does not have."""
    for name in settings.launchers_in_use:
        if name not in NAMES:
            raise SettingsError(f"the launcher {name!r} is not in this version", mend=f"Use one of: {', '.join(NAMES)}")
