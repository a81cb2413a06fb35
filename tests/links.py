"""Symbolic links that somebody may push. A checkout, an archive and a pod that unpacks it guard against those that lead out, each in
a way of its own, so all three are tried on the same ones."""

from __future__ import annotations

from collections.abc import Mapping

Links = Mapping[str, str]

# In each of these one symbolic link leads out of the repository, by whatever way. `sub/dir/file` is there, too.
LINKS_OUT: list[Links] = [
    {"etc": "/etc"},
    {"self": "/"},
    {"up": ".."},
    {"deep/up": "../../x"},
    {"a/b/hop": "../..", "a/b/out": "hop/.."},
    {"d": "sub/dir", "x": "d/../../.."},
    {"here": ".", "out": "here/.."},
    {"one": "two", "two": "three", "three": "../three"},
]
# All of these stay in it, or lead nowhere.
LINKS_WITHIN: Links = {
    "a/b": "../c",
    "c": "d",
    "loop": "loop",
    "p": "q",
    "q": "p",
    "e": "missing/../x",
    "here": ".",
    "s": "a//b/",
}
