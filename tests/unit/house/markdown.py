"""The pages as their readers see them: headings and where links to them lead, fenced blocks, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generate.markdown import anchor
from tests.unit.house.tree import files, name

PAGES = files(".md")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of these languages on all pages."""
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        inside = re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[2], inside)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    text = prose(page)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)


def anchors(page: Path) -> set[str]:
    """Where links into the page may lead."""
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def commands() -> list[tuple[str, list[str]]]:
    """Every line that a reader is told to type, as the place where it stands and its words."""
    told: list[tuple[str, list[str]]] = []
    for block in blocks("console"):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith("$ "):
                told += [(str(block), words) for words in _split(line.removeprefix("$ "))]
    return told


def _split(line: str) -> Iterator[list[str]]:
    """A pipe or a list of commands is several; redirections and remarks are the shell's."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in ("|", "&&", ";", "&"):
            yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words
