"""The program that runs in the runner environment (Python 3.9 and newer, standard library, `mlrun`, `kfp`).

One JSON job in, JSON-lines events out, the log on stdout. It is the only place where the code of a repository is
imported. Nothing of the service is imported here, and modules are loaded so that a job which was claimed by somebody
else ends before MLRun is imported. docs/reference/runner.md has the formats.
"""
