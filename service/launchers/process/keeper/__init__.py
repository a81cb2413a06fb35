"""The keeper: one small process beside every job, so that a job needs no service to be looked after.

The service may be killed at any instant while its jobs run on. What has to live as long as a job (reading its output
up to the cap, its deadline, ending everything it started, its exit code) is therefore done by a process of its own,
as containerd's shim does it. The keeper is the service's user's process and holds `lock` in the job's folder from
before the job exists until after it has written `ended`; a job whose keeper was killed gets a new one by the next
look of any service.

It is standard library only and imports nothing of the service: it is started with `python -I -S`, in 40 ms, by
`service.launchers.process.folder`.
"""
