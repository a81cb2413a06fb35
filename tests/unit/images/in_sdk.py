"""Runs on an SDK's own Python (3.9 and newer), beside a released mlrun: questions on stdin, answers on stdout, both JSON."""

import json
import platform
import sys
import warnings


def main() -> None:
    warnings.simplefilter("ignore")
    import mlrun
    from mlrun.utils import enrich_image_url

    questions = json.load(sys.stdin)
    answers = []
    for registry in questions["registries"]:
        mlrun.mlconf.images_registry = registry
        for version, images in questions["images"].items():
            for python in questions["pythons"]:
                said = {image: enrich_image_url(image, version, python) for image in images}
                changed = {image: answer for image, answer in said.items() if answer != image}
                answers.append({"registry": registry, "version": version, "python": python, "changed": changed})
    document = {
        "mlrun": mlrun.__version__,
        "python": platform.python_version(),
        "to_enrich": mlrun.mlconf.images_to_enrich_registry,
        "asked": questions["images"],
        "answers": answers,
    }
    json.dump(document, sys.stdout, indent=1, sort_keys=True)


main()
