"""An image with what a project adds to its runner's, as MLRun's API builds one: what is asked for, and what two equal ones have in common.

What is sent is what `project.build_image` of MLRun's client sends, but under a name of its own for each image, so that two
builds of a project do not meet. The request leaves out what the client adds to every function by its configuration's defaults.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import msgspec

from service.domain import image_ref
from service.domain.projects import Json
from service.domain.requirements import WHEELS_ALONE

# How the function begins under which an image is built: it is gone from MLRun afterwards.
BUILDER_PREFIX = "gitops-image-"
_KEY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Packages, one a line as pip takes them, and the files of `commit` in `target_dir`, where there is one.

    A `target_dir` that is relative is so to the image's folder for code; "." is that folder.
    """

    requirements: tuple[str, ...] = ()
    target_dir: str | None = None
    commit: str | None = None

    def over(self, base_image: str, project: str) -> ImageBuild:
        return ImageBuild(
            project=project,
            base_image=base_image,
            requirements=self.requirements,
            target_dir=self.target_dir,
            commit=self.commit,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """`base_image` with these `Additions`."""

    project: str
    base_image: str
    requirements: tuple[str, ...] = ()
    target_dir: str | None = None
    commit: str | None = None

    @property
    def key(self) -> str:
        """The same for equal images of a project, whatever order their packages are named in."""
        parts = (self.base_image, sorted(self.requirements), self.commit, self.target_dir)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_KEY]

    @property
    def name(self) -> str:
        """Of the function under which MLRun builds it."""
        return f"{BUILDER_PREFIX}{self.key}"

    @property
    def image(self) -> str:
        """Where it is put; MLRun completes the registry."""
        return f"{image_ref.OF_THE_SERVER}{_repository(self.project)}:{self.key}"

    @property
    def pip(self) -> list[str]:
        """The lines that pip is given."""
        return [WHEELS_ALONE, *self.requirements] if self.requirements else []

    def request(self, source: str | None = None) -> Json:
        """The body of `POST build/function`; `source` is where the builder takes the files of `commit` from."""
        build: Json = {"image": self.image, "base_image": self.base_image}
        if self.requirements:
            build["requirements"] = self.pip
        spec: Json = {"image": "", "build": build}
        if source is not None:
            build |= {"source": source, "load_source_on_run": False}
            if self.target_dir not in (None, "."):
                build["source_code_target_dir"] = spec["clone_target_dir"] = self.target_dir
        metadata = {"name": self.name, "project": self.project}
        function = {"kind": "job", "metadata": metadata, "spec": spec, "status": {"state": ""}, "verbose": False}
        return {"function": function, "with_mlrun": "no", "skip_deployed": False, "force_build": True}


def key_of(image: str | None, project: str) -> str | None:
    """The key that an image of this project's is called by, with its registry or without; None for any other image."""
    found = re.search(rf"(?:^\.|/){re.escape(_repository(project))}:([0-9a-f]{{{_KEY}}})$", image or "")
    return found[1] if found else None


def _repository(project: str) -> str:
    return f"mlrun-gitops-{project}"
