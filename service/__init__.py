"""GitOps for MLRun projects: a push becomes a synced project, a saved configuration and a running workflow."""

__version__ = "0.1.0"
