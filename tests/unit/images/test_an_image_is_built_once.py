"""Which builds are one and the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.image_build import ImageBuild, key_of

ONE = ImageBuild(project="fraud", base_image="mlrun/mlrun-kfp:1.9.2", requirements=("a==1", "b"))


def test_the_order_of_packages_makes_no_other_image() -> None:
    assert replace(ONE, requirements=("b", "a==1")).image == ONE.image


@pytest.mark.parametrize(
    "other",
    [
        {"base_image": "mlrun/mlrun-kfp:1.9.1"},
        {"requirements": ("a==2", "b")},
        {"requirements": ("a==1",)},
        {"commit": "a" * 40},
        {"target_dir": "./project"},
        {"project": "other"},
    ],
)
def test_whatever_is_in_it_makes_another(other: dict[str, object]) -> None:
    assert replace(ONE, **other).image != ONE.image  # type: ignore[arg-type] # any of its fields


def test_its_function_has_a_name_that_mlrun_takes() -> None:
    assert len(ONE.name) <= 63
    assert ONE.name.replace("-", "").isalnum()


@pytest.mark.parametrize("where", ["", "registry.example.com:5000", "registry.example.com/mlrun"])
def test_its_key_is_read_from_its_name_in_any_registry(where: str) -> None:
    image = ONE.image if not where else f"{where}/{ONE.image.removeprefix('.')}"
    assert key_of(image, "fraud") == ONE.key


@pytest.mark.parametrize(
    "image",
    [
        None,
        "docker.io/mlrun/mlrun-kfp:1.9.2",
        replace(ONE, project="other").image,
        replace(ONE, project="more-fraud").image,
        f"mlrun-gitops-fraud:{ONE.key}",
        f"reg.example.com/not-mlrun-gitops-fraud:{ONE.key}",
        "reg.example.com/mlrun-gitops-fraud:latest",
    ],
)
def test_any_other_image_has_none(image: str | None) -> None:
    assert key_of(image, "fraud") is None
