"""Every package is pinned by hash, no file says where to get it, and the locks answer the wishes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from service.domain.mlrun_versions import SUPPORTED, row_of
from tests.unit.house.tree import HOUSE, files, name

LOCKS = files(".txt", "requirements")
WISHES = files(".in", "requirements")


def _pins(path: Path) -> dict[str, Version]:
    """Package → version. Any line that is no pin with hashes fails."""
    pins: dict[str, Version] = {}
    for entry in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        found = re.fullmatch(r"([\w.-]+)==([^\s;]+)(?: ; [^-]+?)?((?: +--hash=sha256:[0-9a-f]{64})+) *", entry)
        assert found, f"{name(path)}: {entry[:80]!r} is no pin with hashes"
        pins[canonicalize_name(found[1])] = Version(found[2])
    return pins


def _wishes(path: Path) -> list[Requirement]:
    wishes: list[Requirement] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            wishes += _wishes(path.parent / line.removeprefix("-r ").strip())
        elif line.strip() and not line.startswith("#"):
            wishes.append(Requirement(line))
    return wishes


@pytest.mark.parametrize("path", LOCKS, ids=name)
def test_a_lock_is_nothing_but_pins_with_hashes(path: Path) -> None:
    assert _pins(path)


@pytest.mark.parametrize("path", [*LOCKS, *WISHES], ids=name)
def test_no_requirement_file_names_a_place_to_get_packages_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--(extra-)?index|--find-links|-f|--trusted-host)\b", text, re.MULTILINE)


@pytest.mark.parametrize("wishes", WISHES, ids=name)
def test_a_lock_answers_every_wish(wishes: Path) -> None:
    pins = _pins(wishes.with_suffix(".txt"))
    for wish in _wishes(wishes):
        assert canonicalize_name(wish.name) in pins, f"{wish} is not in {wishes.stem}.txt; run `make lock`"
        assert pins[canonicalize_name(wish.name)] in wish.specifier, f"{wish}; run `make lock`"


def test_the_service_is_tested_with_what_it_is_run_with() -> None:
    service, tested = (_pins(HOUSE / "requirements" / lock) for lock in ("service.txt", "dev.txt"))
    assert {package: tested.get(package) for package in service} == service


def test_uv_comes_in_the_version_that_the_service_is_locked_to() -> None:
    assert _pins(HOUSE / "requirements/uv.txt") == {"uv": _pins(HOUSE / "requirements/service.txt")["uv"]}


@pytest.mark.parametrize("lock", files(".txt", "requirements/runner-*"), ids=name)
def test_a_runner_has_the_mlrun_that_it_is_named_after_and_kfp_1_8(lock: Path) -> None:
    pins = _pins(lock)
    version = lock.stem.removeprefix("runner-")
    assert str(pins["mlrun"]) == version
    # The last one that runs on Python 3.9; on 3.11 the one that the SDK pins.
    assert str(pins["kfp"]) == ("1.8.22" if row_of(version).python == "3.9" else "1.8.24")


def test_every_mlrun_that_may_be_chosen_has_its_lock_and_no_other_has() -> None:
    locks = {lock.stem.removeprefix("runner-") for lock in files(".txt", "requirements/runner-*")}
    assert locks == set(SUPPORTED)
