"""git's words, turned into an error that says what happened and what to do.

git and curl tell the kind of a failure in English only (LC_ALL=C), not by exit code; so this is one table, first match
wins. Their own words go into `detail`, with everything secret taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.errors import CheckoutFailed, RepositoryUnreachable, SourceError
from service.source.git import GitError

_DETAIL_CHARACTERS = 4000
# Of a line: the other side can send one without an end, at each place of which every pattern would begin anew.
_LINE_CHARACTERS = 1000
_IN_URL = re.compile(r"((?<!\w)\w++://)[^/\s@'\"]+@")


@dataclass(frozen=True, slots=True)
class _Kind:
    words: re.Pattern[str]
    what: str
    mend: str
    retry: bool = True


def _kind(words: str, what: str, mend: str, *, retry: bool = True) -> _Kind:
    return _Kind(re.compile(words, re.IGNORECASE), what, mend, retry)


_NO_REPOSITORY = _kind(
    r"not valid: is this a git repository|does not appear to be a git repository|invalid server response",
    "is not a Git repository",
    "Check repositories[].url: it answers, but not as a Git server does",
)
_KINDS = (
    _kind(
        r"No space left on device|Disk quota exceeded",
        "cannot be stored: the disk is full",
        "Free space where data_dir is",
    ),
    _kind(
        r"signal 25|File too large",
        "sends a file larger than a mirror may hold",
        "Keep large data out of Git (Git LFS, object storage)",
        retry=False,
    ),
    _kind(
        r"fsck error|badly quoted|hasDotgit|\.gitmodules: ",
        "sends objects that git's own checks refuse as malformed or hostile",
        "Run `git fsck --strict` in a clone and remove what it names",
        retry=False,
    ),
    _kind(
        r"could not read (Username|Password)|terminal prompts disabled",
        "wants a password and none is set",
        "Set credentials.token_file (https) or credentials.ssh_key_file (ssh)",
    ),
    _kind(
        r"Authentication failed|HTTP Basic: Access denied|error: 401",
        "refuses the credentials",
        "The token or password is wrong, expired or revoked; put a valid one into credentials.token_file",
    ),
    _kind(
        r"Permission denied \(|Load key .*(invalid format|error in libcrypto)",
        "refuses the ssh key",
        "Add the public half of credentials.ssh_key_file to the repository as a deploy key",
    ),
    _kind(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "shows another ssh host key than before",
        "If the server really has a new key, remove its line from mirrors/.known_hosts in data_dir",
    ),
    _kind(
        r"error: 403",
        "is forbidden for these credentials",
        "Give the token the right to read this repository's contents",
    ),
    _kind(
        r"error: 30[1278]|redirect",
        "answers with a redirect, which is not followed (a token could end up elsewhere)",
        "Set repositories[].url to the address the forge shows now, mostly ending in .git",
    ),
    _kind(
        r"repository '.*' not found|error: (404|410)|does not exist|Repository not found|could not be found",
        "is gone, or hidden from these credentials",
        "Check repositories[].url; many forges answer `not found` for a private repository without a valid token",
    ),
    _kind(
        r"SSL|certificate|gnutls_handshake|TLS",
        "cannot be trusted: the TLS certificate or handshake is bad",
        "Give the service the certificate authority by SSL_CERT_FILE or GIT_SSL_CAINFO",
    ),
    _kind(
        r"Could not resolve (host|proxy|hostname)|Name or service not known|Temporary failure in name resolution",
        "has a host name that cannot be resolved",
        "Check repositories[].url and the name server",
    ),
    _kind(
        r"Operation too slow|timed? ?out",
        "hangs: the server answers too slowly or not at all",
        "Check the Git server and what stands between",
    ),
    _kind(
        r"Failed to connect|Couldn't connect|Connection refused|No route to host|Network is unreachable",
        "refuses the connection",
        "Check that the Git server runs and that its host and port are right",
    ),
    _kind(r"error: 429", "has had too many requests from here", "Raise repositories[].poll"),
    _kind(r"error: 5\d\d", "has a server in trouble", "Look at the Git server's own log"),
    _NO_REPOSITORY,
    _kind(
        r"transport '.*' not allowed|protocol '.*' is not supported",
        "would need a transport that is not allowed",
        "Use an https:// or ssh:// address",
        retry=False,
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without the user part of any address."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _IN_URL.sub(r"\1***@", text)


def unreachable(name: str, failed: GitError, secrets: Iterable[str] = ()) -> RepositoryUnreachable:
    """What a failed fetch or ls-remote means for the repository `name`."""
    if failed.timed_out is not None:
        return RepositoryUnreachable(
            f"Repository {name} hangs: it was not through after {failed.timed_out:g} s",
            mend="Check the Git server and what stands between",
            detail=words(failed, secrets),
        )
    if (kind := _known(failed)) is not None:
        error = RepositoryUnreachable(f"Repository {name} {kind.what}", mend=kind.mend, detail=words(failed, secrets))
        error.retry = kind.retry
        return error
    return RepositoryUnreachable(
        f"Repository {name} could not be fetched",
        mend="See git's own words in the detail",
        detail=words(failed, secrets),
    )


def not_a_repository(name: str) -> RepositoryUnreachable:
    return RepositoryUnreachable(
        f"Repository {name} {_NO_REPOSITORY.what}",
        mend=_NO_REPOSITORY.mend,
        detail="The answer held no packet of Git's protocol.",
    )


def _known(failed: GitError) -> _Kind | None:
    """The first kind that git's words speak of, not counting what stands in quotes (addresses, names of refs)."""
    said = re.sub(r"'[^'\n]*'", "''", "\n".join(_lines(failed.stderr)))
    return next((kind for kind in _KINDS if kind.words.search(said)), None)


def words(failed: GitError, secrets: Iterable[str] = ()) -> str:
    """git's own words, fit to be shown."""
    text = redact(failed.stderr, secrets)
    if len(text) > _DETAIL_CHARACTERS:
        text = f"…{text[-_DETAIL_CHARACTERS:]}"
    return text or str(failed)


def no_git() -> SourceError:
    return SourceError("git is not installed", mend="Install git (2.31 or newer) where the service finds it on PATH")


def unwritable(commit: str, error: OSError) -> CheckoutFailed:
    """What our own disk said, not git."""
    return CheckoutFailed(
        f"Commit {commit[:12]} cannot be read or written: {error.strerror}",
        mend="Look at the disk and the permissions of data_dir and of the jobs' folder",
        detail=str(error),
    )


# Said by git about its own objects and files, never about the other side.
_BROKEN = re.compile(
    r"object file .* is empty|loose object .* is corrupt|(packfile|index file|pack) .*(cannot be accessed|does not match|"
    r"truncated|too (short|small)|corrupt|wrong|mismatch|version)|^(fatal|error): (bad object|missing object|unable to (read|unpack|find)|"
    r"(could|failed to|cannot) (not )?(read|parse|unpack)|inflate|invalid object|refs/\S+ does not point)|"
    r"did not send all necessary objects|not a git repository|garbage at end of|bad (config|tree|pack)|unknown object type|"
    r"unpack_entry|error in object|broken (ref|HEAD)|bad ref|Remote(s)? .* corrupt|unresolved deltas|invalid sha1 pointer|"
    r"does not point to a valid object",
    re.IGNORECASE | re.MULTILINE,
)


def looks_broken(failed: GitError) -> bool:
    """True where git ended because of the mirror itself, which a new clone mends."""
    return failed.timed_out is None and _known(failed) is None and complains(failed.stderr)


def complains(stderr: str) -> bool:
    """True where git complains about its own files, be it that it could go on."""
    return _BROKEN.search("\n".join(line for line in _lines(stderr) if not line.startswith("remote: "))) is not None


def _lines(stderr: str) -> list[str]:
    return [line[:_LINE_CHARACTERS] for line in stderr.splitlines()]
