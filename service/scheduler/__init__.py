"""When something is due. The store is the truth; APScheduler is a view of it that wakes at the right second.

`Clock.show` is told all schedules in force; `on_due` is called with a schedule's id when it is due. Which due times there are is
said by `domain.cron` alone: the trigger below only asks it. Nothing is decided here: a wake-up lost to a crash, a
suspended machine or a jump of the clock is found again by the reconciler, which compares the store with the time.
"""

from service.scheduler.clock import Clock, Due

__all__ = ["Clock", "Due"]
