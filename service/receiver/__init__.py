"""Webhooks in: who sent it, what it says, and a durable decision about it. Takes headers and bytes, knows no web framework.

`Intake.receive` is the way in. A forge is one module with the four steps `detect, verify, identify, parse`, and one line
in `forges`.
"""

from service.receiver.forge import Forge, Headers, Identity
from service.receiver.forges import FORGES
from service.receiver.hooks import Hooks
from service.receiver.intake import Answer, Intake
from service.receiver.signature_only import SignatureOnly
from service.receiver.spool import Spool, unpack

__all__ = ["FORGES", "Answer", "Forge", "Headers", "Hooks", "Identity", "Intake", "SignatureOnly", "Spool", "unpack"]
