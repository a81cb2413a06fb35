"""What the API answers, as types; the OpenAPI document and the reference page come from here.

Field names are those of the store's rows, from whose attributes the answers are made. Times are RFC 3339 in UTC.
"""

from service.web.api.answers.answer import Answer, Failure
from service.web.api.answers.audit import Audit
from service.web.api.answers.deliveries import Delivery, DeliveryDetail, DeliveryMade
from service.web.api.answers.notifications import (
    Handler,
    HandlerTested,
    Heard,
    Notification,
    NotificationDetail,
    ResendAsked,
)
from service.web.api.answers.projects import (
    Difference,
    Drift,
    InForce,
    NextFire,
    PlanMade,
    Preview,
    Project,
    Revision,
    RevisionDetail,
)
from service.web.api.answers.repositories import Ref, Repository, RepositoryDetail
from service.web.api.answers.runs import CancelAsked, Log, OpenRun, Run, RunError, RunEvent, RunEvents, RunMade
from service.web.api.answers.schedules import Fire, Schedule
from service.web.api.answers.syncs import Sync, SyncDetail

__all__ = [
    "Answer",
    "Audit",
    "CancelAsked",
    "Delivery",
    "DeliveryDetail",
    "DeliveryMade",
    "Difference",
    "Drift",
    "Failure",
    "Fire",
    "Handler",
    "HandlerTested",
    "Heard",
    "InForce",
    "Log",
    "NextFire",
    "Notification",
    "NotificationDetail",
    "OpenRun",
    "PlanMade",
    "Preview",
    "Project",
    "Ref",
    "Repository",
    "RepositoryDetail",
    "ResendAsked",
    "Revision",
    "RevisionDetail",
    "Run",
    "RunError",
    "RunEvent",
    "RunEvents",
    "RunMade",
    "Schedule",
    "Sync",
    "SyncDetail",
]
