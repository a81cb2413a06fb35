"""Where people look at a commit and at what changed, by forge: a row a forge, pure.

The page of a repository is made from its address: the host of an ssh address is taken to serve pages by https, which all of
these forges do. A forge that we do not know by name (`generic`) has no pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_SHA = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class _Pages:
    """`repository` makes the page's address from (scheme://host, path); the others follow on it."""

    repository: Callable[[str, str], str | None]
    commit: str
    diff: str


def commit_url(forge: str, url: str, sha: str) -> str | None:
    """The page of a commit of the repository that is fetched from `url`; None where there is none."""
    found = _page(forge, url)
    return found[1] + found[0].commit.format(sha=sha) if found and _SHA.fullmatch(sha) else None


def diff_url(forge: str, url: str, base: str | None, head: str) -> str | None:
    """The page of what changed from `base` to `head`; None without a base, or where both are one."""
    found = _page(forge, url)
    if found is None or base is None or base == head or not (_SHA.fullmatch(base) and _SHA.fullmatch(head)):
        return None
    return found[1] + found[0].diff.format(base=base, head=head)


def _page(forge: str, url: str) -> tuple[_Pages, str] | None:
    """The forge's row and the repository's page."""
    pages = _FORGES.get(forge)
    if pages is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    path = quote(parts.path.strip("/").removesuffix(".git"), safe="/~@:%")
    if not host or not path or parts.scheme not in ("https", "http", "ssh"):
        return None
    # An ssh server's port is not the pages' port.
    web = f"https://{host}" if parts.scheme == "ssh" else f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    page = pages.repository(web, path)
    return (pages, page) if page else None


def _plain(web: str, path: str) -> str:
    return f"{web}/{path}"


def _bitbucket_dc(web: str, path: str) -> str | None:
    """`[context/]scm/PROJECT/repo`, by ssh without `scm`; a person's project is `~name`."""
    *context, project, repo = path.split("/") if "/" in path else ["", path]
    if not project:
        return None
    before = "".join(f"{part}/" for part in context if part != "scm")
    owner = f"users/{project.removeprefix('~')}" if project.startswith("~") else f"projects/{project}"
    return f"{web}/{before}{owner}/repos/{repo}"


def _azure(web: str, path: str) -> str | None:
    """By https as it is; by ssh `v3/organisation/project/repository`."""
    if web.endswith(("://ssh.dev.azure.com", "://vs-ssh.visualstudio.com")):
        match path.split("/"):
            case ["v3", organisation, project, repo]:
                return f"https://dev.azure.com/{organisation}/{project}/_git/{repo}"
            case _:
                return None
    return f"{web}/{path}"


_GITHUB = _Pages(_plain, "/commit/{sha}", "/compare/{base}...{head}")
_FORGES: dict[str, _Pages] = {
    "github": _GITHUB,
    "gitea": _GITHUB,
    "forgejo": _GITHUB,
    "gogs": _GITHUB,
    "gitlab": _Pages(_plain, "/-/commit/{sha}", "/-/compare/{base}...{head}"),
    "bitbucket": _Pages(_plain, "/commits/{sha}", "/branches/compare/{head}..{base}#diff"),
    "bitbucket-dc": _Pages(_bitbucket_dc, "/commits/{sha}", "/compare/diff?targetBranch={base}&sourceBranch={head}"),
    "azure-devops": _Pages(
        _azure, "/commit/{sha}", "/branchCompare?baseVersion=GC{base}&targetVersion=GC{head}&_a=files"
    ),
}
