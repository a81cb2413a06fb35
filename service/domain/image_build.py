"""An image with packages of a project's own, as MLRun's API builds one: what is asked for, and what two equal ones have in common.

What is sent is what `project.build_image` of MLRun's client sends, but under a name of its own for each image, so that two
builds of a project do not meet. The request leaves out what the client adds to every function by its configuration's defaults.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from service.domain.projects import Json

# The registry that the MLRun API server is set up with.
_REGISTRY = "."
_KEY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """`base_image` with `requirements`, and the files of `source` in `target_dir` where there is a source.

    A `target_dir` that is relative is so to the image's folder for code; none is that folder.
    """

    project: str
    base_image: str
    requirements: tuple[str, ...] = ()
    source: str | None = None
    target_dir: str | None = None

    @property
    def key(self) -> str:
        """The same for equal images of a project, whatever order their packages are named in."""
        parts = (self.base_image, sorted(self.requirements), self.source, self.target_dir)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_KEY]

    @property
    def name(self) -> str:
        """Of the function under which MLRun builds it."""
        return f"gitops-image-{self.key}"

    @property
    def image(self) -> str:
        """Where it is put; MLRun completes the registry."""
        return f"{_REGISTRY}mlrun-gitops-{self.project}:{self.key}"

    def request(self) -> Json:
        """The body of `POST build/function`."""
        build: Json = {"image": self.image, "base_image": self.base_image, "requirements": list(self.requirements)}
        spec: Json = {"image": "", "build": build}
        if self.source is not None:
            build |= {"source": self.source, "load_source_on_run": False}
            if self.target_dir is not None:
                build["source_code_target_dir"] = spec["clone_target_dir"] = self.target_dir
        metadata = {"name": self.name, "project": self.project}
        function = {"kind": "job", "metadata": metadata, "spec": spec, "status": {"state": ""}, "verbose": False}
        return {"function": function, "with_mlrun": "no", "skip_deployed": False, "force_build": True}
