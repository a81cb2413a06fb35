"""The companion: what a pod's first process does around the runner, which has no disk in common with the service.

It looks whether the image can run the job, fetches the job and its files, claims it, and starts the runner as on any
machine. While that runs it relays the lines of the event file, passes signals on, and reaps what is orphaned; at the end
it tells the rest and ends as the runner ended. Everything it says to the service may be said twice, so that a lost
answer, a restart of the service or another replica makes no difference.

Up to the claim these modules work on Python 3.7, so that an image with too old a Python can say so.
"""
