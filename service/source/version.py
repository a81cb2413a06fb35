"""Which git this machine has."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from service.errors import SourceError
from service.source.failures import no_git, words
from service.source.git import Git, GitError, NoGitError


def git_version() -> tuple[int, ...]:
    """Of the git that the service would run. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="gitops-") as home:
        try:
            said = Git(Path(home), home=Path(home)).run("version").stdout.decode(errors="replace")
        except NoGitError:
            raise no_git() from None
        except GitError as failed:
            raise SourceError("git does not run", mend="Mend its installation", detail=words(failed)) from None
    found = re.search(r"\d+(\.\d+)+", said)
    return tuple(map(int, found[0].split("."))) if found else (0,)
