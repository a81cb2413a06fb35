"""Our names held against what the released SDKs do with them, as recorded (record.py)."""

from __future__ import annotations

import pytest

from service.domain import image_ref
from service.domain.images import DOCKER_HUB, Asked, Images, is_mlruns
from service.domain.mlrun_versions import MLRUN, MLRUN_KFP, SUPPORTED, row_of
from service.domain.python_version import Said
from service.errors import PlanError
from tests.unit.images import matrix
from tests.unit.images.recordings import AGAIN, Recording, read, recording

__all__ = ["recording"]

# What the service says of itself to an MLRun server, whatever it runs on.
HEADER = "3.11.9"
# The Python that an SDK's client says, for a column of the table.
CLIENT = {"3.9": "3.9.18", "3.11": "3.11.9"}


@pytest.mark.parametrize("sdk", matrix.SDKS)
def test_a_recording_is_of_the_release_it_is_named_after_and_of_what_is_asked_today(sdk: str) -> None:
    document = read(sdk).document
    assert (document["mlrun"], document["python"].rpartition(".")[0]) == (sdk, matrix.SDKS[sdk])
    assert {version: set(images) for version, images in document["asked"].items()} == {
        version: set(matrix.asked(version)) for version in matrix.VERSIONS
    }, AGAIN


def test_every_mlrun_that_may_be_chosen_was_asked() -> None:
    assert set(SUPPORTED) <= set(matrix.SDKS)
    assert set(SUPPORTED) <= set(matrix.VERSIONS)


@pytest.mark.parametrize("registry", matrix.REGISTRIES)
@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_what_we_write_stays_as_it_is_under_the_header_that_we_send(
    recording: Recording, version: str, registry: str
) -> None:
    ours = [image for image in matrix.written(version) if image not in matrix.LEFT_TO_MLRUN]
    assert len(ours) > 15
    said = {image: recording.answer(image, version=version, python=HEADER, registry=registry) for image in ours}
    assert said == {image: image for image in ours}


@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_every_image_of_mlruns_is_written_with_registry_and_tag(version: str) -> None:
    for image in map(image_ref.parse, matrix.written(version)):
        if is_mlruns(image):
            assert image.exact
            assert image.registry or not image.path.startswith("mlrun/")


@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_an_image_of_functions_is_safe_from_a_pod_that_says_another_python(recording: Recording, version: str) -> None:
    """The runner's own pod has an SDK too, on the row's Python. Only mlrun-kfp, which no function runs in, is in danger."""
    for image in matrix.written(version):
        if image in matrix.LEFT_TO_MLRUN or "mlrun-kfp" in image:
            continue
        for python in matrix.PYTHONS:
            assert recording.answer(image, version=version, python=python) == image


# Where MLRun's own default is another than the table's: (version, Python) → why.
NO_IMAGE = {
    ("1.7.2", "3.11"): "the one image of 1.7 holds Python 3.9; MLRun names it for a 3.11 client all the same",
    ("1.8.0", "3.11"): "the one image of 1.8 holds Python 3.9; MLRun names it for a 3.11 client all the same",
    ("1.11.0", "3.9"): "from 1.11 on there is none of Python 3.9; MLRun gives a 3.9 client the one of 3.11",
    ("1.12.1", "3.9"): "from 1.11 on there is none of Python 3.9; MLRun gives a 3.9 client the one of 3.11",
}


@pytest.mark.parametrize("python", CLIENT)
@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_the_image_of_functions_is_the_one_that_mlrun_gives_to_a_client_on_that_python(
    version: str, python: str
) -> None:
    images = Images(version=version)
    theirs = _of(version).answer(MLRUN, version=version, python=CLIENT[python])
    if (version, python) in NO_IMAGE:
        with pytest.raises(PlanError, match=f"MLRun {version} has no function images for Python {python}"):
            images.python(Said(python, ".gitops.yaml"))
        assert theirs == f"{MLRUN}:{version}"
        return
    assert images.function(None, images.python(Said(python, ".gitops.yaml"))) == f"{DOCKER_HUB}/{theirs}"


@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_the_runners_image_is_the_one_that_mlrun_gives_to_a_client_on_the_rows_python(version: str) -> None:
    row = row_of(version)
    theirs = _of(version).answer(row.runner, version=version, python=CLIENT[row.python])
    assert Images(version=version).runner(Asked()).image == f"{DOCKER_HUB}/{theirs}"


def test_a_python_between_the_two_has_no_image_though_mlrun_gives_it_the_one_of_3_11() -> None:
    assert read("1.9.2").answer(MLRUN, version="1.9.2", python="3.10.13") == "mlrun/mlrun:1.9.2"
    with pytest.raises(PlanError, match=r"no function images for Python 3\.10.*it has them for 3\.9 or 3\.11"):
        Images(version="1.9.2").python(Said("3.10", ".python-version"))


# What people write → what MLRun 1.10.4 makes of it for a 3.9 client, and what we do; and why not the same.
DEVIATIONS = [
    (
        "registry.example.com:5000/mlrun/mlrun",
        "registry.example.com:5000/mlrun/mlrun",
        "registry.example.com:5000/mlrun/mlrun:1.10.4-py39",
        "MLRun takes the port's colon for a tag's, and Docker then takes `latest`",
    ),
    (
        "mlrun/mlrun-kfp:1.10.4-py39",
        "mlrun/mlrun-kfp:1.10.4-py39-py39",
        "docker.io/mlrun/mlrun-kfp:1.10.4-py39",
        "MLRun appends the suffix to a tag that has it; there is no such image",
    ),
    (
        "mlrun/mlrun-kfp:1.9.2",
        "mlrun/mlrun-kfp:1.9.2-py39",
        "docker.io/mlrun/mlrun-kfp:1.9.2",
        "MLRun appends the suffix to a tag that somebody chose; 1.9.2 has no such image",
    ),
    (
        "registry.example.com:5000/mlrun/mlrun-kfp:1.10.4",
        "registry.example.com:5000/mlrun/mlrun-kfp:1.10.4-py39",
        "registry.example.com:5000/mlrun/mlrun-kfp:1.10.4",
        "MLRun appends the suffix to a tag that somebody chose, who may have meant Python 3.11",
    ),
    (
        "python",
        "python:3.9",
        "python",
        "no image of MLRun's; what people write stays, and MLRun's server completes it",
    ),
]


@pytest.mark.parametrize(("text", "theirs", "ours", "why"), DEVIATIONS, ids=[row[0] for row in DEVIATIONS])
def test_where_we_differ_from_mlrun_there_is_a_reason(text: str, theirs: str, ours: str, why: str) -> None:
    assert read("1.10.4").answer(text, version="1.10.4", python="3.9.18") == theirs
    assert Images(version="1.10.4").function(text, "3.9") == ours
    assert why


@pytest.mark.parametrize("version", matrix.VERSIONS)
@pytest.mark.parametrize("python", CLIENT)
def test_everything_else_that_people_write_becomes_what_mlrun_makes_of_it(version: str, python: str) -> None:
    images = Images(version=version)
    if python not in images.row.functions:
        return
    for text in matrix.WRITTEN_BY_PEOPLE:
        later = text == "mlrun/ml-base:1.10.4" and row_of(version).since < (1, 10, 0)  # than the SDK that was asked
        if text in {row[0] for row in DEVIATIONS} or later:
            continue
        theirs = image_ref.parse(_of(version).answer(text, version=version, python=CLIENT[python]))
        ours = image_ref.parse(images.function(text, python))
        if ours.registry == DOCKER_HUB:
            assert theirs.registry == ""
            ours = image_ref.parse(str(ours).removeprefix(f"{DOCKER_HUB}/"))
        assert ours == theirs


@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_mlruns_own_registry_setting_and_ours_give_the_same_name(version: str) -> None:
    theirs = _of(version).answer(MLRUN_KFP, version=version, python=HEADER, registry=f"{matrix.MIRROR}/")
    ours = Images(version=version, registry=matrix.MIRROR, suffix="").runner(Asked(workflow=MLRUN_KFP)).image
    assert ours == theirs


def _of(version: str) -> Recording:
    """The oldest recorded release that knows of images as that version has them."""
    number = tuple(map(int, version.split(".")))
    return read(next(sdk for sdk in matrix.SDKS if tuple(map(int, sdk.split("."))) >= number))
