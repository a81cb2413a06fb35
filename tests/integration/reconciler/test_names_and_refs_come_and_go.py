"""Who a name belongs to while projects are renamed, moved, swapped, refused, and refs are deleted and made again."""

from __future__ import annotations

from typing import Any

import pytest

from service.reconciler import fetch
from service.reconciler.bind import take_in
from service.store import repositories
from tests.integration.reconciler.stage import Files, Stage, gitops_yaml, project_yaml
from tests.waiting import until

NIGHT = {"main": None, "night": "0 2 * * *"}
CRONS = {"night": "0 2 * * *"}


@pytest.fixture
def gone_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The minute between the two reads that have to miss a ref is over at once."""
    monkeypatch.setattr(fetch, "REF_GONE_AFTER_S", 0.0)


def two(a: str, b: str) -> Files:
    """A monorepo: who is in the folders a and b."""
    return {
        ".gitops.yaml": gitops_yaml({"path": "a"}, {"path": "b"}),
        "a/project.yaml": project_yaml(a, NIGHT),
        "b/project.yaml": project_yaml(b, NIGHT),
    }


def test_a_renamed_project_leaves_its_old_name_and_schedules_behind(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml("old", NIGHT)})
    stage.settle()
    second = stage.push({"project.yaml": project_yaml("new", NIGHT)})
    assert stage.ran("new") == [second]
    assert stage.project("old") is None
    assert stage.crons("old") == {}
    assert stage.crons("new") == CRONS


def test_a_project_renamed_and_back_is_in_force_again(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml("old", NIGHT)})
    stage.settle()
    stage.push({"project.yaml": project_yaml("new", NIGHT)})
    stage.settle()
    stage.put(f"{first}:refs/heads/main")
    stage.hook(first)
    stage.settle()
    assert stage.in_force("old") == first
    assert stage.crons("old") == CRONS
    assert stage.project("new") is None
    assert stage.crons("new") == {}


def test_a_name_that_another_repository_owns_is_refused_and_the_old_one_stays_in_force(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml("taken")}, "churn")
    first = stage.push({"project.yaml": project_yaml("fraud", NIGHT)})
    stage.settle()
    second = stage.push({"project.yaml": project_yaml("taken", NIGHT)}, hook=False)
    assert stage.outcome(stage.hook(second))[0] == "failed"
    stage.settle()
    assert stage.in_force("fraud") == first
    assert stage.crons("fraud") == CRONS
    assert "belongs to churn" in (stage.owned("fraud").error or "")
    assert stage.states("fraud") == ["succeeded", "failed"]
    third = stage.push({"project.yaml": project_yaml("fraud", NIGHT)})
    stage.settle()
    assert stage.in_force("fraud") == third
    assert stage.owned("fraud").error is None


def test_a_refused_name_is_taken_once_its_owner_gives_it_up(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml("shared")}, "churn")
    stage.settle()
    commit = stage.push({"project.yaml": project_yaml("shared", NIGHT)})
    stage.settle()
    assert stage.owned("shared").repository == "churn"
    stage.push({"project.yaml": project_yaml("churn")}, "churn")
    stage.settle()
    assert stage.owned("shared").repository == "fraud"
    assert stage.in_force("shared") == commit
    assert stage.error("fraud") is None


def test_a_project_that_moves_to_another_folder_keeps_its_name_and_its_schedule(stage: Stage) -> None:
    stage.push(two("one", "two"))
    stage.settle()
    before = stage.get("/schedules", project="one")["items"]
    moved = stage.push(
        {
            ".gitops.yaml": gitops_yaml({"path": "c"}, {"path": "b"}),
            "a/project.yaml": None,
            "c/project.yaml": project_yaml("one", NIGHT),
        }
    )
    stage.settle()
    assert stage.owned("one").path == "c"
    assert stage.in_force("one") == moved
    assert [s["id"] for s in stage.get("/schedules", project="one")["items"]] == [s["id"] for s in before]
    assert stage.owned("two").path == "b"


def test_two_projects_that_swap_their_folders_both_stay(stage: Stage) -> None:
    stage.push(two("one", "two"))
    stage.settle()
    swapped = stage.push(two("two", "one"))
    stage.settle()
    assert (stage.owned("one").path, stage.owned("two").path) == ("b", "a")
    assert stage.in_force("one") == stage.in_force("two") == swapped
    assert stage.crons("one") == stage.crons("two") == CRONS


def test_swapped_declarations_of_a_broken_project_keep_the_last_good_revision(stage: Stage) -> None:
    good = stage.push(two("one", "two"))
    stage.settle()
    broken = two("two", "one") | {"b/project.yaml": project_yaml("one", NIGHT, raises="a mistake")}
    stage.push(broken)
    stage.settle()
    assert stage.in_force("one") == good
    assert stage.crons("one") == CRONS


def test_a_file_that_becomes_invalid_holds_the_last_good_and_valid_again_goes_on(stage: Stage) -> None:
    declared = gitops_yaml({"path": "."})
    first = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    second = stage.push({".gitops.yaml": "version: 1\nprojekts: []\n"}, hook=False)
    assert stage.outcome(stage.hook(second))[0] == "failed"
    stage.settle()
    assert stage.in_force() == first
    assert stage.crons() == CRONS
    assert stage.owned().error
    third = stage.push({".gitops.yaml": declared})
    stage.settle()
    assert stage.states() == ["succeeded", "failed", "succeeded"]
    assert stage.in_force() == third
    assert stage.owned().error is None


def test_a_deleted_branch_takes_out_what_was_bound_to_it_and_nothing_else(stage: Stage, gone_at_once: None) -> None:
    declared = gitops_yaml({"name": "fraud-{ref}", "refs": ["main", "dev"]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    stage.put(f"{commit}:refs/heads/dev")
    stage.hook(commit, ref="refs/heads/dev")
    stage.settle()
    stage.put(":refs/heads/dev")
    stage.hook(None, ref="refs/heads/dev")
    stage.settle()
    assert stage.project("fraud-dev") is None
    assert stage.crons("fraud-dev") == {}
    assert stage.crons("fraud-main") == CRONS


def test_a_branch_made_again_at_the_same_commit_is_in_force_again(stage: Stage, gone_at_once: None) -> None:
    declared = gitops_yaml({"name": "fraud-{ref}", "refs": ["main", "dev"]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    for _ in range(2):
        stage.put(f"{commit}:refs/heads/dev")
        stage.hook(commit, ref="refs/heads/dev")
        stage.settle()
        assert stage.in_force("fraud-dev") == commit
        assert stage.crons("fraud-dev") == CRONS
        stage.put(":refs/heads/dev")
        stage.hook(None, ref="refs/heads/dev")
        stage.settle()
        assert stage.project("fraud-dev") is None


def test_a_ref_that_is_there_again_has_its_minute_anew_when_it_is_missed_the_next_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = gitops_yaml({"name": "fraud-{ref}", "refs": ["main", "dev"]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    stage.put(f"{commit}:refs/heads/dev")
    stage.poll()
    stage.put(":refs/heads/dev")
    stage.poll()
    stage.put(f"{commit}:refs/heads/dev")
    stage.poll()
    with stage.store.read() as conn:
        assert repositories.refs(conn, "fraud")["refs/heads/dev"].missing_since is None
    assert stage.in_force("fraud-dev") == commit


def test_a_default_branch_renamed_takes_its_project_along(stage: Stage, gone_at_once: None) -> None:
    commit = stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    bare = stage.forge.repositories["fraud"]
    bare.git("branch", "-m", "main", "trunk")
    bare.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    stage.hook(commit, ref="refs/heads/trunk")
    stage.settle()
    assert stage.owned().ref == "refs/heads/trunk"
    assert stage.in_force() == commit
    assert stage.crons() == CRONS


def test_another_default_branch_is_found_though_no_ref_moved(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()})
    stage.put(f"{commit}:refs/heads/dev")
    stage.poll()
    assert stage.owned().ref == "refs/heads/main"
    second = stage.push({"a.py": "2"}, to="dev")
    stage.settle()
    stage.forge.repositories["fraud"].git("symbolic-ref", "HEAD", "refs/heads/dev")
    stage.poll()
    assert stage.owned().ref == "refs/heads/dev"
    assert stage.in_force() == second


def test_another_branch_in_the_settings_is_followed_after_a_restart(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    second = stage.push({"a.py": "2"}, to="dev")
    stage.settle()
    stage.restart(repositories=[stage.repository("fraud", branch="dev")])
    stage.poll()
    assert stage.owned().ref == "refs/heads/dev"
    assert stage.in_force() == second
    assert stage.crons() == CRONS


def test_refs_that_name_another_branch_move_the_project_there(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    commit = stage.push({".gitops.yaml": gitops_yaml({"refs": ["dev"]})}, hook=False)
    stage.put(f"{commit}:refs/heads/dev")
    stage.hook(commit, ref="refs/heads/dev")
    stage.hook(commit)
    stage.settle()
    assert stage.owned().ref == "refs/heads/dev"
    assert stage.in_force() == commit
    assert stage.crons() == CRONS


def test_a_branch_refused_before_the_name_was_free_is_taken_in_when_it_is(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    commit = stage.push({".gitops.yaml": gitops_yaml({"refs": ["dev"]})}, to="dev")
    stage.settle()
    assert stage.owned().ref == "refs/heads/main"
    stage.push({}, to="main")
    stage.settle()
    assert stage.owned().ref == "refs/heads/dev"
    assert stage.in_force() == commit


def test_a_branch_that_is_refused_leaves_the_owner_of_the_name_in_peace(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml("fraud", NIGHT)})
    stage.settle()
    stage.push({".gitops.yaml": gitops_yaml({"refs": ["mine"]})}, to="mine")
    stage.settle()
    assert stage.owned().error is None
    assert stage.in_force() == first
    assert "belongs to fraud" in (stage.error() or "")


def test_a_tag_pushed_before_its_branch_does_not_keep_the_branch_from_its_name(stage: Stage) -> None:
    declared = gitops_yaml({"run": [{"workflow": "main", "on": "tag"}, {"workflow": "main", "on": "push"}]})
    commit = stage.work["fraud"].commit({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    stage.put("HEAD:refs/tags/v1")
    stage.hook(commit, ref="refs/tags/v1")
    stage.settle()
    stage.put("HEAD:refs/heads/main")
    stage.hook(commit)
    stage.settle()
    assert stage.owned().ref == "refs/heads/main"
    assert stage.in_force() == commit
    assert stage.crons() == CRONS


def test_every_tag_runs_once_and_puts_nothing_in_force(stage: Stage) -> None:
    declared = gitops_yaml({"run": [{"workflow": "main", "on": "tag"}]})
    first = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    second = stage.push({"a.py": "2"})
    with stage.launcher.loads_wait():
        for tag, commit in (("v1", first), ("v2", second), ("v3", second)):
            stage.put(f"{commit}:refs/tags/{tag}")
            stage.hook(commit, ref=f"refs/tags/{tag}")
    assert sorted(stage.ran()) == sorted([first, second, second])
    assert stage.in_force() == second
    stage.hook(second, ref="refs/tags/v3")
    assert len(stage.ran()) == 3


def test_a_repository_taken_out_of_the_settings_fires_no_more_and_gives_its_names_free(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml("fraud", NIGHT)})
    stage.settle()
    late = stage.hook(commit)
    url = stage.forge.repositories["fraud"].url
    stage.restart(repositories=[stage.repository("churn") | {"url": url}])
    stage.settle()
    assert stage.outcome(late)[0] in ("ignored", "unchanged")
    assert stage.crons() == {}
    stage.hook(commit, "churn")
    stage.settle()
    assert stage.owned().repository == "churn"
    assert stage.in_force() == commit


def test_a_repository_put_back_into_the_settings_comes_back(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml("fraud", NIGHT)})
    stage.settle()
    there: Any = stage.settings["repositories"]
    stage.restart(repositories=[stage.repository("churn")])
    stage.settle()
    stage.restart(repositories=there)
    stage.poll()
    assert stage.in_force() == commit
    assert stage.crons() == CRONS


def test_one_ref_that_cannot_be_taken_in_keeps_no_other_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = take_in

    def breaks(rooms: Any, held: Any, repository: Any, tips: Any, moved: Any) -> Any:
        if moved.ref == "refs/heads/a-bug":
            raise RuntimeError("a bug")
        return real(rooms, held, repository, tips, moved)

    monkeypatch.setattr(fetch, "take_in", breaks)
    commit = stage.push({"project.yaml": project_yaml()}, hook=False)
    stage.put("HEAD:refs/heads/a-bug")
    stage.hook(commit)
    until(lambda: stage.in_force() == commit, "main to be in force")
    until(lambda: "a bug" in stage.failing("fetch", "fraud"), "the work to say why it is not done")


def test_an_unbound_branch_that_is_deleted_at_once_harms_nobody(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle()
    stage.put("HEAD:refs/heads/short")
    stage.put(":refs/heads/short")
    assert stage.outcome(stage.hook(commit, ref="refs/heads/short"))[0] == "deleted"
    assert stage.crons() == CRONS
