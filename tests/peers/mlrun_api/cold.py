"""MLRun's own way, for comparison; run by a runner environment's Python: cold.py URL FOLDER...

Each folder is a clone. What is saved goes to the MLRun API at URL, as it does where a person does this.
"""

import os
import sys


def main() -> None:
    url, *folders = sys.argv[1:]
    os.environ["MLRUN_DBPATH"] = url
    import mlrun

    for folder in folders:
        os.chdir(folder)
        sys.path.insert(0, folder)
        project = mlrun.load_project("./", save=True)
        project.sync_functions(save=True)
        if project.spec.repo:
            project.spec.repo.close()
        sys.path.remove(folder)
        for name in ("project_setup", "late", "workflow"):
            sys.modules.pop(name, None)
        print("saved", project.metadata.name, flush=True)


if __name__ == "__main__":
    main()
