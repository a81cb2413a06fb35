from __future__ import annotations

import re

import pytest

from service.domain.images import Asked, Images
from service.domain.mlrun_versions import DEFAULT, ROWS, SUPPORTED, number, row_of
from service.domain.python_version import Said
from service.errors import PlanError
from tests.unit.house.tree import HOUSE

PAGE = (HOUSE / "docs/guide/images.md").read_text(encoding="utf-8")

# version → workflow runner, its Python, functions of a 3.9 project, of a 3.11 project. "–": there is none.
TABLE = {
    "1.5.2": ("mlrun/mlrun:1.5.2", "3.9", "mlrun/mlrun:1.5.2", "–"),
    "1.7.2": ("mlrun/mlrun:1.7.2", "3.9", "mlrun/mlrun:1.7.2", "–"),
    "1.8.0": ("mlrun/mlrun-kfp:1.8.0", "3.9", "mlrun/mlrun:1.8.0", "–"),
    "1.9.0": ("mlrun/mlrun-kfp:1.9.0", "3.9", "mlrun/mlrun:1.9.0-py39", "mlrun/mlrun:1.9.0"),
    "1.9.1": ("mlrun/mlrun-kfp:1.9.1", "3.9", "mlrun/mlrun:1.9.1-py39", "mlrun/mlrun:1.9.1"),
    "1.9.2": ("mlrun/mlrun-kfp:1.9.2", "3.9", "mlrun/mlrun:1.9.2-py39", "mlrun/mlrun:1.9.2"),
    "1.10.0": ("mlrun/mlrun-kfp:1.10.0-py39", "3.9", "mlrun/mlrun:1.10.0-py39", "mlrun/mlrun:1.10.0"),
    "1.10.4": ("mlrun/mlrun-kfp:1.10.4-py39", "3.9", "mlrun/mlrun:1.10.4-py39", "mlrun/mlrun:1.10.4"),
    "1.11.0": ("mlrun/mlrun-kfp:1.11.0", "3.11", "–", "mlrun/mlrun:1.11.0"),
    "1.12.1": ("mlrun/mlrun-kfp:1.12.1", "3.11", "–", "mlrun/mlrun:1.12.1"),
    "2.0.0": ("mlrun/mlrun-kfp:2.0.0", "3.11", "–", "mlrun/mlrun:2.0.0"),
}


def _functions(images: Images, python: str) -> str:
    try:
        return images.function(None, images.python(Said(python, ".gitops.yaml"))).removeprefix("docker.io/")
    except PlanError:
        return "–"


@pytest.mark.parametrize("version", TABLE)
def test_a_version_has_the_images_of_its_row(version: str) -> None:
    images = Images(version=version)
    runner = images.runner(Asked()).image.removeprefix("docker.io/")
    assert (runner, images.row.python, _functions(images, "3.9"), _functions(images, "3.11")) == TABLE[version]


def test_the_page_shows_the_same_table() -> None:
    rows = re.findall(r"^\| (\d[^|]*?) +\| (.*?) +\|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [row.versions for row in ROWS]
    for row, (_, cells) in zip(ROWS, rows, strict=True):
        version = ".".join(map(str, row.since)) if any(row.since) else "1.7.2"
        shown = [cell.strip().strip("`") for cell in cells.split("|")]
        whole = [re.sub(r"\bV\b", version, cell) for cell in shown]
        assert tuple(whole) == _row(version)


def _row(version: str) -> tuple[str, ...]:
    images = Images(version=version)
    runner = images.runner(Asked()).image.removeprefix("docker.io/")
    return runner, images.row.python, _functions(images, "3.9"), _functions(images, "3.11")


def test_the_page_lists_the_versions_that_can_be_chosen() -> None:
    (listed,) = re.findall(r"`mlrun\.version` is one of (.*?)[.;]\s", PAGE)
    assert re.findall(r"\d+\.\d+\.\d+", listed) == list(SUPPORTED)


@pytest.mark.parametrize(("version", "python"), [("1.8.0", "3.9"), ("1.9.2", "3.11"), ("1.12.1", "3.11")])
def test_a_project_that_says_nothing_has_the_newest_python_of_its_row(version: str, python: str) -> None:
    assert Images(version=version).python(None) == python


@pytest.mark.parametrize(
    ("version", "said", "has", "others"),
    [
        ("1.8.0", "3.11", "3.9", "1.9.2, 1.10.4 or 1.12.1"),
        ("1.12.1", "3.9", "3.11", "1.8.0, 1.9.2 or 1.10.4"),
    ],
)
def test_a_cell_without_an_image_is_an_error_that_says_so_and_what_there_is(
    version: str, said: str, has: str, others: str
) -> None:
    with pytest.raises(PlanError) as raised:
        Images(version=version).python(Said(said, "ml/.python-version"))
    assert raised.value.what == (
        f"MLRun {version} has no function images for Python {said}, which ml/.python-version asks for"
    )
    assert raised.value.mend == (
        f"it has them for {has}: write python: '{has}' in .gitops.yaml, or the operator sets mlrun.version to {others}"
    )


def test_a_python_that_no_mlrun_has_offers_no_other_version() -> None:
    with pytest.raises(PlanError) as raised:
        Images().python(Said("3.13", ".python-version"))
    assert raised.value.mend == "it has them for 3.9 or 3.11: write python: '3.11' in .gitops.yaml"


def test_a_workflows_own_image_wins_over_all() -> None:
    asked = Asked(workflow="ghcr.io/acme/runner:7", declared="ghcr.io/acme/other:1", default="ghcr.io/acme/default:1")
    for version in SUPPORTED:
        chosen = Images(version=version).runner(asked)
        assert (chosen.image, chosen.asked_by) == ("ghcr.io/acme/runner:7", "image in project.yaml")


def test_then_comes_the_one_of_gitops_yaml() -> None:
    chosen = Images().runner(Asked(declared="ghcr.io/acme/other:1", default="ghcr.io/acme/default:1"))
    assert (chosen.image, chosen.asked_by) == ("ghcr.io/acme/other:1", "runner.image in .gitops.yaml")


@pytest.mark.parametrize(
    ("version", "image"),
    [
        ("1.7.2", "ghcr.io/acme/default:1"),
        ("1.8.0", "ghcr.io/acme/default:1"),
        ("1.9.0", "ghcr.io/acme/default:1"),
        ("1.9.1", "docker.io/mlrun/mlrun-kfp:1.9.1"),
        ("1.10.4", "docker.io/mlrun/mlrun-kfp:1.10.4-py39"),
        ("1.12.1", "docker.io/mlrun/mlrun-kfp:1.12.1"),
    ],
)
def test_the_projects_default_image_is_the_runners_up_to_1_9_0(version: str, image: str) -> None:
    assert Images(version=version).runner(Asked(default="ghcr.io/acme/default:1")).image == image


def test_an_image_of_mlruns_that_somebody_wrote_without_a_tag_gets_the_rows() -> None:
    images = Images(version="1.10.4", registry="reg:5000/mirror/", suffix="-3.9")
    assert images.runner(Asked(workflow="mlrun/mlrun-kfp")).image == "reg:5000/mirror/mlrun/mlrun-kfp:1.10.4-3.9"
    assert images.function("mlrun/mlrun-gpu", "3.11") == "reg:5000/mirror/mlrun/mlrun-gpu:1.10.4"
    assert images.function("quay.io/mlrun/mlrun", "3.9") == "quay.io/mlrun/mlrun:1.10.4-3.9"


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (Asked(workflow="My Image"), "workflow train: image in project.yaml: 'My Image' is no image reference"),
        (Asked(declared="a:b:c"), "workflow train: runner.image in .gitops.yaml: 'a:b:c' is no image reference"),
        (Asked(default="a b"), "workflow train: default_image in project.yaml: 'a b' is no image reference"),
    ],
)
def test_an_image_that_is_none_is_an_error_that_says_where_it_stands(asked: Asked, where: str) -> None:
    with pytest.raises(PlanError) as raised:
        Images(version="1.8.0").runner(asked, "train")
    assert raised.value.what.startswith(where)


@pytest.mark.parametrize(
    ("version", "since"),
    [("1.9.1-rc3", (1, 9, 1)), ("1.9.1rc3", (1, 9, 1)), ("1.12.1", (1, 11, 0)), ("1.8.99", (1, 8, 0))],
)
def test_every_version_has_one_row(version: str, since: tuple[int, int, int]) -> None:
    assert row_of(version).since == since


@pytest.mark.parametrize("text", ["", "1.9", "latest", "v1.9.2", "1.9.2 ", "1.9.2\n", "١.٩.٢"])
def test_what_is_no_version_has_none(text: str) -> None:
    assert number(text) is None
    with pytest.raises(ValueError, match="is no version of MLRun"):
        row_of(text)


def test_rows_are_in_order_and_the_default_can_be_chosen() -> None:
    assert [row.since for row in ROWS] == sorted({row.since for row in ROWS})
    assert DEFAULT in SUPPORTED
