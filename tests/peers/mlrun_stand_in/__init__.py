"""A stand-in for MLRun API servers of 1.9 and 1.12, whose code cannot be had: strict, recording, and failing when told to.

    def test_it_is_saved(mlrun_stand_in: MlrunStandIn) -> None:        # once on each version; mlrun_1_9, mlrun_1_12 are one
        api = MlrunApi(settings_with(mlrun_stand_in.url))
        ...
        assert [one.path for one in mlrun_stand_in.requests("PUT")] == [...]

`program` runs in the very runner environment of that MLRun and holds every request and every answer against
`mlrun.common.schemas` of its wheel; `program/rules.py` is the table of what it takes, each row with its source. Beyond the real
server it refuses what MLRun's own client never sends: parameters it does not know (422) and requests without the client's headers
(400). It starts no pods: a run goes on to `running` when somebody has looked, and further when a test says so (`process.finish`).
"""
