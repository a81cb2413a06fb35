"""Which builds are one and the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.image_build import ImageBuild

ONE = ImageBuild(project="fraud", base_image="mlrun/mlrun-kfp:1.9.2", requirements=("a==1", "b"))


def test_the_order_of_packages_makes_no_other_image() -> None:
    assert replace(ONE, requirements=("b", "a==1")).image == ONE.image


@pytest.mark.parametrize(
    "other",
    [
        {"base_image": "mlrun/mlrun-kfp:1.9.1"},
        {"requirements": ("a==2", "b")},
        {"requirements": ("a==1",)},
        {"source": "git://git.example.com/ml/fraud.git#refs/commits/1"},
        {"target_dir": "./project"},
        {"project": "other"},
    ],
)
def test_whatever_is_in_it_makes_another(other: dict[str, object]) -> None:
    assert replace(ONE, **other).image != ONE.image  # type: ignore[arg-type] # any of its fields


def test_its_function_has_a_name_that_mlrun_takes() -> None:
    assert len(ONE.name) <= 63
    assert ONE.name.replace("-", "").isalnum()
