"""Where a revision is saved. Saving is data: a resolved project goes in, nobody's code runs.

`store` keeps revisions and schedules in our own store, always; MLRun's DB is a second target, where there is one.
"""
