"""A fetch finds what is there now, brings only what is new, and forgets what is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.errors import RefMissing, RepositoryEmpty
from service.settings import Settings
from service.source import Source
from tests.integration.source.conftest import Place
from tests.peers.git_http import GitServer, Request, run_git


def noise(size: int) -> bytes:
    """Bytes that do not compress, so that what travels can be told by its size."""
    import random

    return random.Random(7).randbytes(size)


def test_the_first_fetch_clones_and_tells_the_tips(place: Place) -> None:
    commit = place.push({"project.yaml": "kind: project\n"})
    tips = place.fetch()
    assert tips.refs == {"refs/heads/main": commit}
    assert tips.default_branch == "main"
    assert tips.commit("refs/heads/main") == commit


def test_a_later_fetch_brings_only_what_is_new(place: Place) -> None:
    place.push({"data.bin": noise(300_000)})
    place.fetch()
    after_clone, inode = place.repository.sent, place.mirror.stat().st_ino
    commit = place.push({"small.txt": "new"})
    assert place.fetch().commit("refs/heads/main") == commit
    assert after_clone > 300_000
    assert place.repository.sent - after_clone < 10_000
    assert place.mirror.stat().st_ino == inode


def test_a_fetch_of_nothing_new_asks_for_no_pack(place: Place, forge: GitServer) -> None:
    place.push({"a": "1"})
    place.fetch()
    forge.requests.clear()
    place.fetch()
    # One list of services and one list of refs; a pack would be a second POST.
    assert [(r.method, r.service) for r in forge.requests] == [("GET", "git-upload-pack"), ("POST", "git-upload-pack")]


def test_a_new_branch_is_found(place: Place) -> None:
    first = place.push({"a": "1"})
    place.fetch()
    place.work.git("checkout", "--quiet", "-b", "feature/x")
    second = place.push({"a": "2"})
    assert place.fetch().refs == {"refs/heads/main": first, "refs/heads/feature/x": second}


def test_a_force_push_moves_the_tip_back(place: Place) -> None:
    first = place.push({"a": "1"})
    place.push({"a": "2"})
    place.fetch()
    place.work.git("reset", "--quiet", "--hard", first)
    other = place.work.commit({"a": "3"})
    place.work.push(force=True)
    assert place.fetch().refs == {"refs/heads/main": other}


def test_a_deleted_branch_is_gone(place: Place) -> None:
    place.push({"a": "1"})
    place.work.push("HEAD:refs/heads/old")
    assert "refs/heads/old" in place.fetch().refs
    place.work.push(":refs/heads/old")
    tips = place.fetch()
    assert list(tips.refs) == ["refs/heads/main"]
    with pytest.raises(RefMissing, match="refs/heads/old"):
        tips.commit("refs/heads/old")


def test_a_branch_may_become_a_folder_of_branches(place: Place) -> None:
    place.push({"a": "1"})
    place.work.push("HEAD:refs/heads/team")
    place.fetch()
    place.work.push(":refs/heads/team")
    place.work.push("HEAD:refs/heads/team/one")
    assert set(place.fetch().refs) == {"refs/heads/main", "refs/heads/team/one"}


def test_tags_are_peeled_to_commits_however_deep(place: Place) -> None:
    commit = place.push({"a": "1"})
    place.work.git("tag", "light")
    place.work.git("tag", "--annotate", "--message=one", "annotated")
    place.work.git("tag", "--annotate", "--message=two", "nested", "annotated")
    place.work.git("tag", "of-a-tree", "HEAD^{tree}")
    place.work.push("--tags")
    tags = {ref: sha for ref, sha in place.fetch().refs.items() if ref.startswith("refs/tags/")}
    assert tags == {"refs/tags/light": commit, "refs/tags/annotated": commit, "refs/tags/nested": commit}


@pytest.mark.parametrize("odd", [None, "HEAD^{tree}"])
def test_a_later_fetch_tells_the_same_as_the_first(place: Place, odd: str | None) -> None:
    place.push({"a": "1"})
    place.fetch()
    commit = place.push({"a": "2"})
    place.work.git("branch", "it's-of'")
    place.work.git("tag", "--annotate", "--message=one", "annotated")
    place.work.git("tag", "--annotate", "--message=two", "nested", "annotated")
    if odd:
        place.work.git("tag", "odd", odd)
    place.work.git("push", "--quiet", "--all")
    place.work.git("push", "--quiet", "--tags")
    names = ("refs/heads/main", "refs/heads/it's-of'", "refs/tags/annotated", "refs/tags/nested")
    assert place.fetch().refs == dict.fromkeys(names, commit)
    assert place.fetch().refs == dict.fromkeys(names, commit)


def test_a_moved_tag_is_followed(place: Place) -> None:
    place.push({"a": "1"})
    place.work.git("tag", "v1")
    place.work.push("v1")
    place.fetch()
    commit = place.push({"a": "2"})
    place.work.git("tag", "--force", "v1")
    place.work.push("v1", force=True)
    assert place.fetch().commit("refs/tags/v1") == commit


def test_the_default_branch_is_the_remotes_also_when_it_changes_between_equal_branches(place: Place) -> None:
    place.push({"a": "1"})
    place.work.push("HEAD:refs/heads/prod", "HEAD:refs/heads/aaa")
    assert place.fetch().default_branch == "main"
    place.repository.git("symbolic-ref", "HEAD", "refs/heads/prod")
    # Nothing tells the branches apart until they part.
    place.push({"a": "2"})
    assert place.fetch().default_branch == "prod"


def test_a_head_that_names_no_branch_is_no_default_branch(place: Place) -> None:
    place.push({"a": "1"})
    place.repository.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    tips = place.fetch()
    assert tips.default_branch is None
    assert list(tips.refs) == ["refs/heads/main"]


def test_an_empty_repository_says_so_and_is_found_filled_later(place: Place) -> None:
    with pytest.raises(RepositoryEmpty, match="fraud is empty"):
        place.fetch()
    with pytest.raises(RepositoryEmpty):
        place.fetch()
    commit = place.push({"a": "1"})
    assert place.fetch().commit("refs/heads/main") == commit


def test_refs_that_no_honest_forge_sends_are_not_there(place: Place) -> None:
    commit = place.push({"a": "1"})
    hostile = ["refs/heads/-upload-pack=x", "refs/heads/--exec", "refs/tags/-d", "refs/heads/a\u202eb"]
    for ref in hostile:
        place.repository.git("update-ref", ref, commit)
    assert place.fetch().refs == {"refs/heads/main": commit}


def test_other_namespaces_are_not_fetched(place: Place) -> None:
    first, commit = place.push({"a": "1"}), place.push({"a": "2"})
    for ref in ("refs/pull/1/head", "refs/gitops/HEAD", f"refs/replace/{first}"):
        place.repository.git("update-ref", ref, commit)
    place.fetch()
    refs = run_git(place.mirror, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/gitops/HEAD", "refs/heads/main"]


def test_a_push_in_the_middle_of_a_fetch_is_found_by_it_or_the_next(place: Place, forge: GitServer) -> None:
    first = place.push({"a": "1"})
    place.fetch()
    second = place.push({"a": "2"})
    pushed: list[str] = []

    def push_once(request: Request) -> None:
        if request.service == "git-upload-pack" and request.method == "POST" and not pushed:
            pushed.append(place.work.commit({"a": "3"}))
            place.work.push()

    forge.before = push_once
    found = place.fetch().commit("refs/heads/main")
    assert found in (second, *pushed)
    assert found != first
    assert place.fetch().commit("refs/heads/main") == pushed[0]


def test_a_rewrite_in_the_middle_of_a_fetch_does_not_fail_it(place: Place, forge: GitServer) -> None:
    """The pack is asked for when the tip that was listed is gone, and even its objects are."""
    base = place.push({"a": "1"})
    place.fetch()
    place.push({"a": "2"})
    rewritten: list[str] = []

    def rewrite_once(request: Request) -> None:
        posts = forge.asked()
        if request.service == "git-upload-pack" and request.method == "POST" and posts == 2 and not rewritten:
            place.work.git("reset", "--quiet", "--hard", base)
            rewritten.append(place.work.commit({"a": "3"}))
            place.work.push(force=True)
            place.repository.git("reflog", "expire", "--expire=now", "--all")
            place.repository.git("gc", "--quiet", "--prune=now")

    forge.requests.clear()
    forge.before = rewrite_once
    assert place.fetch().commit("refs/heads/main") == rewritten[0]


def test_threads_that_fetch_the_same_repository_all_find_its_tip(place: Place) -> None:
    commit = place.push({"a": "1"})
    barrier = threading.Barrier(4)

    def fetch() -> str:
        barrier.wait()
        return place.fetch().commit("refs/heads/main")

    with ThreadPoolExecutor(4) as threads:
        assert [f.result() for f in [threads.submit(fetch) for _ in range(4)]] == [commit] * 4


def test_two_processes_sources_share_one_mirror(place: Place) -> None:
    """Each Source stands for a process: they know nothing of each other but the lock on disk."""
    commit = place.push({"a": "1"})
    sources = [place.restarted() for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        tips = list(threads.map(lambda s: s.fetch(place.setting), sources))
    assert [t.commit("refs/heads/main") for t in tips] == [commit] * 3


def test_a_mirror_is_tidied_and_keeps_what_was_rewritten_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits.MIRROR_PACKS", 3)
    first = place.push({"a": "1"})
    lost = place.push({"a": "2"})
    place.fetch()
    place.work.git("reset", "--quiet", "--hard", first)
    for n in range(6):
        place.work.commit({f"many/{n}-{i}": noise(20) for i in range(120)}, f"pack {n}")
        place.work.push(force=True)
        place.fetch()
    assert len(list(place.mirror.glob("objects/pack/*.pack"))) <= 4
    assert place.source.read_file("fraud", lost, "a") == b"2"


def test_a_commit_that_another_replica_fetched_is_fetched_by_who_needs_it(place: Place, tmp_path: Path) -> None:
    other = Source(Settings(data_dir=tmp_path / "other", repositories=(place.setting,)))
    first = place.push({"a.txt": "1"})
    assert other.fetch(place.setting).commit("refs/heads/main") == first
    second = place.push({"a.txt": "2", "b/c.txt": "3"})
    place.fetch()
    assert other.changed_paths("fraud", first, second) == ("a.txt", "b/c.txt")
    third = place.push({"a.txt": "4"})
    place.fetch()
    assert other.read_file("fraud", third, "a.txt") == b"4"
    assert other.checkout("fraud", third, tmp_path / "out").tree == place.source.tree("fraud", third)
    nobodys = "f" * 40
    with pytest.raises(RefMissing):
        other.read_file("fraud", nobodys, "a.txt")
    other.close()
