"""What a requirements file may ask for where it is installed beside a registry's credential."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import limits
from service.domain.requirements import parse
from service.errors import PlanError


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("", ()),
        ("# nothing\n\n   \n", ()),
        ("pandas\n", ("pandas",)),
        ("pandas>=2,<3  # for frames\nnumpy == 1.26.*\n", ("pandas>=2,<3", "numpy == 1.26.*")),
        ("pandas\r\npandas\r\n", ("pandas",)),
        ("\ufeffpandas", ("pandas",)),
        (
            "s3fs[boto3, aio] ~= 2024.1 ; python_version < '3.11'",
            ("s3fs[boto3, aio] ~= 2024.1 ; python_version < '3.11'",),
        ),
        (
            "a==1 \\\n    --hash=sha256:0aF \\\n    --hash=sha256:1b\nb",
            ("a==1 --hash=sha256:0aF --hash=sha256:1b", "b"),
        ),
        ("a \\\n", ("a",)),
        ("--only-binary :all:\n--only-binary=:all:\na", ("a",)),
    ],
)
def test_packages_are_taken_as_pip_reads_them(text: str, packages: tuple[str, ...]) -> None:
    assert parse(text.encode(), "r.txt") == packages


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r other.txt", "-r is an option of pip"),
        ("-e .", "-e is an option of pip"),
        ("--index-url https://ada:s3cret@pypi.example.com", "--index-url is an option of pip"),
        ("--extra-index-url=https://ada:s3cret@pypi.example.com", "--extra-index-url is an option of pip"),
        ("--no-binary :all:", "--no-binary is an option of pip"),
        ("-fhttps://ada:s3cret@files.example.com", "-f is an option of pip"),
        ("a==1 --config-settings=x=s3cret", "'a' is no package"),
        ("a @ https://ada:s3cret@files.example.com/a.whl", "'a' comes from an address"),
        ("a@file:///etc/s3cret", "what stands there comes from an address"),
        ("s3cret@github.com/ada/a", "what stands there"),
        ("git+https://s3cret@github.com/ada/a", "what stands there comes from an address"),
        ("https://ada:s3cret@files.example.com/a.tar.gz", "what stands there comes from an address"),
        ("git+ssh://git@example.com/s3cret", "comes from an address"),
        ("./wheels", "is a file"),
        ("/wheels", "is a file"),
        ("~/wheels", "is a file"),
        ("wheels/a-1-py3-none-any.whl", "is a file"),
        ("a b", "'a' is no package"),
        ("a; $(id)", "'a' is no package"),
        ("a\x00b", "is no package"),
        ("ä", "is no package"),
        ("a==1 \\\n-e .", "'a' is no package"),
    ],
)
def test_anything_else_is_refused_with_its_line_and_without_its_secrets(line: str, said: str) -> None:
    with pytest.raises(PlanError) as refused:
        parse(f"numpy\n{line}\n".encode(), "requirements-runner.txt")
    assert refused.value.what.startswith("requirements-runner.txt, line 2: ")
    assert said in refused.value.what
    assert "s3cret" not in str(refused.value)


def test_what_is_no_text_or_too_much_is_refused() -> None:
    with pytest.raises(PlanError, match=r"r\.txt is no text in UTF-8: byte 1"):
        parse(b"a\xff", "r.txt")
    with pytest.raises(PlanError, match=r"r\.txt has 65538 bytes"):
        parse(b"a\n" * (limits.REQUIREMENTS_BYTES // 2 + 1), "r.txt")


@pytest.mark.parametrize(
    "line", ["a" + " " * 60_000 + "!", "a" * 60_000 + "!", "a" + ",<1" * 20_000, "a" + " --hash=a:0" * 5000 + " !"]
)
def test_no_line_is_looked_at_for_long(line: str) -> None:
    began = time.process_time()
    with pytest.raises(PlanError):
        parse(line.encode(), "r.txt")
    assert time.process_time() - began < 1.0


@given(st.text(alphabet=st.sampled_from("ab1.-_=<>!~,;@:/\\#[]()'\" \n\t$-"), max_size=60))
def test_whatever_is_taken_is_a_line_that_names_a_package(text: str) -> None:
    try:
        found = parse(text.encode(), "r.txt")
    except PlanError:
        return
    for line in found:
        assert line[0].isalnum()
        assert "\n" not in line
        assert "://" not in line
        assert "@" not in line
