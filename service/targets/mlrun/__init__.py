"""MLRun's own DB as a target: what is there, what is written, what it came to; and images that MLRun builds."""

from service.targets.mlrun.images import MlrunImages, Outlook, Stand
from service.targets.mlrun.target import MlrunTarget

__all__ = ["MlrunImages", "MlrunTarget", "Outlook", "Stand"]
