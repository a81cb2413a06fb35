from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.image_ref import ImageRef, parse
from service.errors import ImageError
from tests.unit.images.matrix import DIGEST


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mlrun", ImageRef(path="mlrun")),
        ("mlrun/mlrun", ImageRef(path="mlrun/mlrun")),
        ("mlrun/mlrun:1.9.2-py39", ImageRef(path="mlrun/mlrun", tag="1.9.2-py39")),
        ("reg:5000/mlrun", ImageRef(registry="reg:5000", path="mlrun")),
        ("reg:5000/mlrun/mlrun:v1", ImageRef(registry="reg:5000", path="mlrun/mlrun", tag="v1")),
        ("a:1/b", ImageRef(registry="a:1", path="b")),
        ("localhost/mlrun/mlrun", ImageRef(registry="localhost", path="mlrun/mlrun")),
        ("ghcr.io/a/b/c_d--e.f", ImageRef(registry="ghcr.io", path="a/b/c_d--e.f")),
        ("[::1]:5000/a", ImageRef(registry="[::1]:5000", path="a")),
        ("GHCR/a", ImageRef(registry="GHCR", path="a")),
        (f"a@{DIGEST}", ImageRef(path="a", digest=DIGEST)),
        (f"reg.io:1/a:t@{DIGEST}", ImageRef(registry="reg.io:1", path="a", tag="t", digest=DIGEST)),
        (".mlrun/func-demo:latest", ImageRef(registry=".", path="mlrun/func-demo", tag="latest")),
    ],
)
def test_its_parts_are_found_and_put_together_again(text: str, parts: ImageRef) -> None:
    assert parse(f" {text}\n") == parts
    assert str(parts) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "'' is no name"),
        ("/", "'/' is no name"),
        ("mlrun/", "'mlrun/' is no name"),
        ("mlrun//mlrun", "'mlrun//mlrun' is no name"),
        ("My Image", "'My Image' is no name"),
        ("Mlrun", "'Mlrun' is no name"),
        ("a/../b", "'a/../b' is no name"),
        ("ghcr.io/../b", "'../b' is no name"),
        ("a:", "'' is no tag"),
        ("a:b c", "'b c' is no tag"),
        (f"a:{'t' * 129}", "is no tag"),
        ("a@sha256:zz", "'sha256:zz' is no digest"),
        ("a@", "'' is no digest"),
        ("user:secret@reg.io/a", "'reg.io/a' is no digest"),
        ("https://reg.io/a", "'https:' is no registry"),
        ("-reg.io/a", "'-reg.io' is no registry"),
        ("reg.io:port/a", "'reg.io:port' is no registry"),
        ("a\nb", "is no name"),
        ("a" * 256, "is no name"),
        ("a" * 100_000, "it is too long"),
        ("bücher", "'bücher' is no name"),
        ("$(reboot)", "is no name"),
    ],
)
def test_what_is_none_is_refused_with_the_part_that_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(ImageError) as raised:
        parse(text)
    assert wrong in raised.value.what
    assert raised.value.mend
    assert len(raised.value.what) < 1000


_PART = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
_REFS = st.builds(
    ImageRef,
    registry=st.sampled_from(["", ".", "localhost", "reg.io", "reg:5000", "a-b.c:80"]),
    path=st.lists(_PART, min_size=1, max_size=4).map("/".join).filter(lambda path: "." not in path.partition("/")[0]),
    tag=st.just("") | st.from_regex(r"[\w][\w.-]{0,20}", fullmatch=True).filter(str.isascii),
    digest=st.sampled_from(["", DIGEST]),
)


@given(_REFS)
def test_any_reference_is_its_own_text(ref: ImageRef) -> None:
    if ref.registry == "" and ref.path.startswith("localhost/"):
        return
    assert parse(str(ref)) == ref


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_an_error(text: str) -> None:
    try:
        assert str(parse(text)) == text.strip()
    except ImageError:
        pass
