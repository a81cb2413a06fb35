from __future__ import annotations

import re

from service.store import syncs
from tests.integration.api.rows import tell
from tests.integration.cli.conftest import Cli
from tests.integration.cli.terminal import on_a_terminal


def seen(cli: Cli, *words: str) -> str:
    """What a person sees on a terminal, colours and all."""
    code, text = on_a_terminal(*words, colours=True, GITOPS_URL=cli.url)
    assert code == 0, text
    return text


def test_status_tells_what_arrived_what_is_in_force_and_what_goes_on(cli: Cli) -> None:
    story = tell(cli.api.store)
    said = cli("status")
    assert said.code == 0
    assert re.search(r"^fraud +https://git\.example\.com/ml/fraud\.git$", said.out, re.MULTILINE)
    assert re.search(r"delivered never · fetched \d{4}-\S+Z · nothing waits", said.out)
    assert re.search(r"in force +r1 +aaaaaaaa Better model", said.out)
    assert re.search(r"last sync +succeeded \d{4}-\S+Z: done", said.out)
    assert re.search(rf"run +{story.run} main running since", said.out)
    assert re.search(r"next +nightly runs main \d{4}-", said.out)
    assert "churn" in said.out


def test_status_as_json_has_both_lists(cli: Cli) -> None:
    tell(cli.api.store)
    data = cli("status", "--json").data
    assert [r["name"] for r in data["repositories"]] == ["churn", "fraud"]
    assert data["projects"][0]["in_force"]["revision"] == "r1"


def test_each_list_shows_its_things_and_each_thing_all_about_it(cli: Cli) -> None:
    story = tell(cli.api.store)
    for verb, id_, word in (
        ("runs", story.run, "arguments rows=5"),
        ("runs", story.run, "image     docker.io/mlrun/mlrun-kfp:1.9.2"),
        ("syncs", story.sync, "Better model"),
        ("deliveries", story.delivery, "it is the tip"),
    ):
        listed, one = cli(verb), cli(verb, id_)
        assert id_ in listed.out
        assert word in one.out
        assert cli(verb, "--json").data["items"][0]["id"] == id_
        assert cli(verb, id_, "--json").data["id"] == id_
    assert re.search(r"fraud +nightly +main +0 2 \* \* \* +UTC", cli("schedules").out)


def test_lists_are_filtered(cli: Cli) -> None:
    tell(cli.api.store)
    none = cli("runs", "--state", "failed")
    assert (none.code, none.out, none.err) == (0, "", "no runs\n")
    wrong = cli("runs", "--state", "fialed")
    assert wrong.code == 1
    assert "state" in wrong.err


def test_a_log_is_printed_as_it_is(cli: Cli) -> None:
    story = tell(cli.api.store)
    cli.api.launcher.prints = "epoch 1\n\tepoch 2 – done\n"
    assert cli("logs", story.run).out == "epoch 1\n\tepoch 2 – done\n"
    assert cli("logs", "fraud/main").out == "epoch 1\n\tepoch 2 – done\n"
    assert "there is no run" in cli("logs", "nobody").err


def test_on_a_terminal_of_80_columns_nothing_is_wider_and_states_have_colours(cli: Cli) -> None:
    tell(cli.api.store)
    for words in (["status"], ["runs"], ["syncs"], ["deliveries"], ["schedules"], ["runs", "fraud"]):
        said = seen(cli, *words)
        plain = re.sub(r"\x1b\[[\d;]*m", "", said)
        assert max(len(line) for line in plain.splitlines()) <= 80, plain
        if words != ["schedules"]:
            assert re.search(r"\x1b\[3[23]m(running|succeeded|synced|accepted)", said), said


def test_what_a_stranger_wrote_cannot_drive_the_terminal(cli: Cli) -> None:
    story = tell(cli.api.store)
    evil = "\x1b]0;owned\x07\x1b[2J\u202eevil\rX"
    cli.api.store.write(lambda conn: syncs.record(conn, story.sync, subject=evil, author=evil, reason=evil))
    for words in (["status"], ["syncs"], ["syncs", story.sync]):
        piped = cli(*words).out
        shown = re.sub(r"\x1b\[[\d;]*m", "", seen(cli, *words))
        for said in (piped, shown):
            assert "evil" in said
            assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", said)
