"""MLRun's own DB as a target: what is there, what is written, what it came to."""

from service.targets.mlrun.target import MlrunTarget

__all__ = ["MlrunTarget"]
