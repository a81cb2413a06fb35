"""What a fetch found: the commit of each branch and tag, and which branch is the default one."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.domain.refs import HEADS, TAGS, check_ref, short
from service.errors import RefMissing, RefRejected
from service.source.git import Git
from service.source.objects import Objects

# Where the remote's HEAD is kept in a mirror. It is fetched by a pattern, so that a remote without one is no failure.
REMOTE_HEAD = "refs/gitops/HEAD"
# How a fetch writes down what a line is of. Names of refs hold no space.
_FETCHED = {"branch": HEADS, "tag": TAGS}
_FORMAT = "%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)%00%(refname)"


@dataclass(frozen=True, slots=True)
class Tips:
    """`refs` maps full refs (`refs/heads/main`, `refs/tags/v1`) to commits; annotated tags are peeled, tags of anything but
    a commit left out. `default_branch` is a branch's short name, None where the remote's HEAD names none that exists."""

    default_branch: str | None
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, ref: str) -> str:
        """The commit at the full ref `ref`. Raises RefMissing."""
        if (found := self.refs.get(ref)) is None:
            raise RefMissing(f"The repository has no {ref}", mend="Push it, or correct the ref")
        return found


def read_refs(git: Git) -> dict[str, str]:
    """Every branch, tag and the remote's HEAD of the mirror → commit. Reads each object, so a broken mirror fails here.

    A ref whose name no honest forge sends is not there for us.
    """
    output = git.run("for-each-ref", f"--format={_FORMAT}", "refs/heads", "refs/tags", REMOTE_HEAD)
    refs: dict[str, str] = {}
    nested: list[str] = []
    for line in output.stdout.decode("utf-8", "surrogateescape").splitlines():
        name, kind, peeled, peeled_kind, ref = line.split("\0")
        if kind == "commit":
            refs[ref] = name
        elif peeled_kind == "commit":
            refs[ref] = peeled
        elif peeled_kind == "tag":
            nested.append(ref)
    refs |= _peel(git, nested)
    return {ref: commit for ref, commit in refs.items() if ref == REMOTE_HEAD or _is_honest(ref)}


def read_fetched(git: Git, objects: Objects) -> dict[str, str]:
    """The same, just after a fetch: from what that wrote down of all it saw, which is sooner there than another git."""
    written = (git.git_dir / "FETCH_HEAD").read_text(encoding="utf-8", errors="surrogateescape")
    found: dict[str, str] = {}
    for line in written.split("\n")[:-1]:
        name, _, what = line.split("\t", 2)
        kind, _, rest = what.partition(" '")
        if kind in _FETCHED:
            found[_FETCHED[kind] + rest.partition("' of ")[0]] = name
        elif not kind.startswith("'"):  # the remote itself, which is to say its HEAD
            found[REMOTE_HEAD] = name
    commits = objects.commits(list(found.values()))
    if None in commits:  # a tag of something else or a broken mirror, which git can tell
        return read_refs(git)
    peeled = zip(found, commits, strict=True)
    return {ref: commit for ref, commit in peeled if commit and (ref == REMOTE_HEAD or _is_honest(ref))}


def _is_honest(ref: str) -> bool:
    try:
        ref.encode()
        check_ref(ref)
    except (UnicodeEncodeError, RefRejected):
        return False
    return True


def _peel(git: Git, refs: list[str]) -> dict[str, str]:
    """Tags of tags, all the way down."""
    if not refs:
        return {}
    asked = "".join(f"{ref}^{{commit}}\n" for ref in refs)
    output = git.run(
        "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked.encode("utf-8", "surrogateescape")
    )
    answers = [line.split(" ") for line in output.stdout.decode("utf-8", "surrogateescape").splitlines()]
    return {ref: a[0] for ref, a in zip(refs, answers, strict=True) if len(a) == 2 and a[1] == "commit"}


def settled_default(git: Git, refs: dict[str, str]) -> tuple[str | None, bool]:
    """The default branch as far as the last fetch tells it, and whether that is certain.

    A fetch tells the commit of the remote's HEAD, not its branch. Where one branch alone is there, or the branch that was
    the default until now still is, that is enough; else the remote has to be asked.
    """
    head = refs.get(REMOTE_HEAD)
    if head is None:
        return None, True
    candidates = [ref for ref, commit in refs.items() if commit == head and ref.startswith("refs/heads/")]
    known = _known_default(git)
    if known in candidates:
        return short(known), True
    if len(candidates) == 1:
        remember_default(git, candidates[0])
        return short(candidates[0]), True
    return None, False


def remember_default(git: Git, ref: str) -> None:
    git.run("symbolic-ref", "HEAD", ref)


def _known_default(git: Git) -> str:
    """What the mirror's own HEAD says: a file that only we write."""
    try:
        return (git.git_dir / "HEAD").read_text(encoding="utf-8").removeprefix("ref: ").strip()
    except (OSError, UnicodeDecodeError):
        return ""
