"""What changed between two commits, by a local diff."""

from __future__ import annotations

import pytest

from service.errors import RefMissing
from tests.integration.source.conftest import Place

UNKNOWN = "1" * 40


def test_a_change_names_its_paths(place: Place) -> None:
    base = place.push({"a.py": "1", "docs/x.md": "1", "same": "1"})
    tip = place.push({"a.py": "2", "docs/x.md": None, "new/deep/b.py": "3"})
    place.fetch()
    assert place.source.changed_paths("fraud", base, tip) == ("a.py", "docs/x.md", "new/deep/b.py")


def test_a_rename_counts_both_names(place: Place) -> None:
    base = place.push({"old.py": "print()\n" * 50})
    tip = place.push({"old.py": None, "lib/new.py": "print()\n" * 50})
    place.fetch()
    assert place.source.changed_paths("fraud", base, tip) == ("lib/new.py", "old.py")


def test_an_empty_commit_changes_nothing_which_is_not_unknown(place: Place) -> None:
    base = place.push({"a": "1"})
    tip = place.push({})
    place.fetch()
    assert place.source.changed_paths("fraud", base, tip) == ()
    assert place.source.changed_paths("fraud", tip, tip) == ()


def test_without_a_base_everything_is_unknown(place: Place) -> None:
    tip = place.push({"a": "1"})
    place.fetch()
    assert place.source.changed_paths("fraud", None, tip) is None
    assert place.source.changed_paths("fraud", UNKNOWN, tip) is None


def test_a_base_that_was_rewritten_away_is_unknown_though_the_mirror_still_has_it(place: Place) -> None:
    first = place.push({"a": "1"})
    base = place.push({"a": "2"})
    place.fetch()
    place.work.git("reset", "--quiet", "--hard", first)
    tip = place.work.commit({"a": "3"})
    place.work.push(force=True)
    place.fetch()
    assert place.source.changed_paths("fraud", base, tip) is None
    assert place.source.changed_paths("fraud", first, tip) == ("a",)


def test_a_merge_shows_what_the_branch_brought(place: Place) -> None:
    base = place.push({"a": "1"})
    place.work.git("checkout", "--quiet", "-b", "side")
    place.work.commit({"side.py": "1"}, "Side")
    place.work.git("checkout", "--quiet", "main")
    place.work.commit({"main.py": "1"}, "Main")
    place.work.git("merge", "--quiet", "--no-ff", "--message=Merge", "side")
    place.work.push()
    tip = place.work.git("rev-parse", "HEAD")
    place.fetch()
    assert place.source.changed_paths("fraud", base, tip) == ("main.py", "side.py")
    assert {c.subject for c in place.source.log("fraud", base, tip, 10)} == {"Merge", "Main", "Side"}


def test_mode_and_submodule_changes_count(place: Place) -> None:
    base = place.push({"run.sh": "#!/bin/sh\n"})
    place.work.git("update-index", "--chmod=+x", "run.sh")
    place.work.git("update-index", "--add", "--cacheinfo", f"160000,{UNKNOWN},vendor")
    place.work.git("commit", "--quiet", "--message=modes")
    place.work.push()
    place.fetch()
    assert place.source.changed_paths("fraud", base, place.repository.tip()) == ("run.sh", "vendor")


def test_paths_come_out_whatever_bytes_are_in_them(place: Place) -> None:
    base = place.push({"a": "1"})
    names = ["line\nbreak", "tab\there", 'quote"', "back\\slash", "ünï/çø∂é", " lead", "-dash"]
    tip = place.push(dict.fromkeys(names, "x"))
    place.fetch()
    assert set(place.source.changed_paths("fraud", base, tip) or ()) == set(names)


def test_the_log_is_newest_first_and_whole(place: Place) -> None:
    base = place.push({"a": "1"}, "Base")
    place.push({"a": "2"}, "Second\n\nWith a body.\n\n[skip ci]")
    tip = place.push({"a": "3"}, "Ünïcode ✓")
    place.fetch()
    newest, older = place.source.log("fraud", base, tip, 10)
    assert (newest.sha, newest.subject, newest.author, newest.email) == (tip, "Ünïcode ✓", "Ada", "ada@example.com")
    assert (older.subject, older.message) == ("Second", "Second\n\nWith a body.\n\n[skip ci]")
    assert older.time == int(place.work.git("show", "-s", "--format=%ct", older.sha))


def test_the_log_is_limited_and_does_without_a_base(place: Place) -> None:
    commits = [place.push({"a": str(n)}, f"n {n}") for n in range(4)]
    place.fetch()
    assert [c.sha for c in place.source.log("fraud", None, commits[-1], 2)] == [commits[3], commits[2]]
    assert [c.sha for c in place.source.log("fraud", UNKNOWN, commits[1], 9)] == [commits[1], commits[0]]
    assert place.source.log("fraud", commits[1], commits[1], 9) == ()


def test_a_commit_without_a_message_or_in_another_encoding_is_read(place: Place) -> None:
    place.push({"a": "1"})
    place.work.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message=")
    place.work.git(
        "-c", "i18n.commitEncoding=latin1", "commit", "--quiet", "--allow-empty", "--file=-", stdin=b"caf\xe9\n"
    )
    place.work.push()
    place.fetch()
    latin, empty, _ = place.source.log("fraud", None, place.repository.tip(), 10)
    assert (latin.subject, empty.subject) == ("café", "")


ADA = "Ada <ada@example.com> 1700000000 +0000"


@pytest.mark.parametrize(
    ("encoding", "person"),
    [
        *((name, ADA) for name in ("idna", "undefined", "hex", "no-such", "utf-8")),
        ("utf-8", "Ada <ada@example.com>1700000000 +0000"),
        ("utf-8", "Ada <ada@example.com> 1700000000 +051800"),
        ("utf-8", " <> 1700000000 +0000"),
    ],
)
def test_a_commit_that_we_read_ourselves_says_what_git_would(place: Place, encoding: str, person: str) -> None:
    """Whatever the commit calls its encoding; and with the old mistakes that a fetch lets in."""
    first = place.push({"a": "1"})
    git = place.repository.git
    head = f"tree {git('rev-parse', f'{first}^{{tree}}')}\nparent {first}\nauthor {person}\ncommitter {person}\n"
    data = f"{head}encoding {encoding}\n\nCafé\n".encode()
    commit = git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=data)
    git("update-ref", "refs/heads/main", commit)
    place.fetch()
    (ours,) = place.source.log("fraud", None, commit, 1)
    assert ours == place.source.log("fraud", None, commit, 2)[0]
    assert (ours.subject, ours.time) == ("Café", 1700000000)


def test_ancestry(place: Place) -> None:
    first, second = place.push({"a": "1"}), place.push({"a": "2"})
    place.fetch()
    contains = place.source.contains
    assert contains("fraud", first, second)
    assert contains("fraud", second, second)
    assert not contains("fraud", second, first)
    assert not contains("fraud", UNKNOWN, second)


def test_a_commit_that_nobody_knows_is_missing_everywhere(place: Place) -> None:
    known = place.push({"a": "1"})
    place.fetch()
    source, inode = place.source, place.mirror.stat().st_ino
    for ask in (
        lambda: source.log("fraud", None, UNKNOWN, 1),
        lambda: source.changed_paths("fraud", known, UNKNOWN),
        lambda: source.contains("fraud", known, UNKNOWN),
        lambda: source.read_file("fraud", UNKNOWN, "a"),
        lambda: source.list_dir("fraud", UNKNOWN),
        lambda: source.tree("fraud", UNKNOWN),
        lambda: place.checkout(UNKNOWN),
        lambda: source.tree("fraud", "HEAD"),
        lambda: source.tree("fraud", "--help"),
    ):
        with pytest.raises(RefMissing):
            ask()
    assert place.mirror.stat().st_ino == inode, "a wrong question is no reason to clone anew"
