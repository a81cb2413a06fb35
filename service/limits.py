"""Every cap in one place, each with where it comes from."""

KIB = 1024
MIB = 1024 * KIB

# GitHub sends at most 25 MB and drops what is larger (GitHub docs, "Webhook events and payloads").
WEBHOOK_BODY_BYTES = 25 * MIB
# json of 9 MB holds the GIL for 350 ms; larger bodies are accepted unparsed and parsed by a worker.
WEBHOOK_INLINE_PARSE_BYTES = 1 * MIB
# Deeper payloads than any forge sends; msgspec itself guards recursion.
WEBHOOK_JSON_DEPTH = 100
# What all requests together may hold of their bodies beyond the first MiB each: five of the largest.
WEBHOOK_LARGE_BODIES_BYTES = 128 * MIB
# Bodies up to this are kept as they came; zlib would save little and cost the acknowledgement time.
DELIVERY_PLAIN_BYTES = 16 * KIB
# A stranger's deliveries are recorded at most this often for each hook; the rest are counted.
REJECTION_RECORD_S = 1.0
# API bodies are small objects written by people.
API_BODY_BYTES = 1 * MIB

# Concurrent writers that share one commit; a transaction longer than this would make the first wait too long.
STORE_BATCH_ROWS = 64
# A writer that waited this long answers 503 instead of holding the forge's connection (GitHub gives 10 s).
STORE_WRITE_TIMEOUT_S = 8.0
# Where several replicas serve, one that ends says so first: Kubernetes takes a second or two to send nobody there any more.
DRAIN_S = 5.0
# A transaction in which nothing was said for so long is of a replica that was stopped or cut off; it locks rows that others need.
STORE_SILENCE_S = 5.0

# A step of a migration waits so long for a table, and everybody else behind it; then it lets them go first and comes again.
MIGRATION_LOCK_MS = 2_000
# Longer than any step waits for others; the chart's hook gives up after ten minutes.
MIGRATION_PATIENCE_S = 540.0

# Leases. On SQLite one process has them all, and frees at its start what the one before held. A replica that died leaves its own for
# others to take, who are to go on within 15 s; all of a replica's are renewed together, so often that one renewal may fail.
LEASE_S = 60.0
REPLICA_LEASE_S = 12.0
LEASE_RENEWALS = 5
# What a replica does not know (a handler, a repository, a launcher) one with other settings may, as during an upgrade: what is no older
# than this is put back so that others take it, and given up only then.
UPGRADE_S = 300.0
ELSEWHERE_S = 3.0
ELSEWHERE_ATTEMPTS = 9
# A write outside of the store begins only while its lease lasts longer than the write may (`Held.check`).
OUTSIDE_WRITE_TIMEOUT_S = 8.0
# A submit of a run to MLRun is none of these: it is sent once, and looked for by whoever comes after. Given up early it would only be in doubt.
SUBMIT_TIMEOUT_S = 19.0

# Retries of a failing step: 1 s, 2 s, 4 s ... and never further apart than this.
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0
# After so many failed fetches those deliveries are told that waited so long; polling goes on.
FETCH_ATTEMPTS = 5
FETCH_PATIENCE_S = 15.0
NOTIFY_ATTEMPTS = 12
# A message waits so long: what a push leads to comes before what is said of it, and what is said at once goes together.
NOTIFY_AFTER_S = 0.15
# What a handler may remember of one message, as JSON and under which key, and for how long after it last did.
HANDLER_NOTE_KEY = 200
HANDLER_NOTE_BYTES = 4 * KIB
HANDLER_NOTE_S = 30 * 24 * 3600.0
# Events of steps that are looked at for a message: 500 steps, of which it lists the last.
RUN_STEP_EVENTS = 1_000

# Git. A mirror that takes longer than this is hanging (Argo CD gives git 90 s by default).
GIT_TIMEOUT_S = 300.0
# The first clone brings the whole history; a server that stalls is found by the low-speed limit long before.
GIT_CLONE_TIMEOUT_S = 1800.0
# Repositories whose objects can be asked for without starting a git: a small process or two for each.
MIRRORS_AT_HAND = 8
# What one git command may print to us: 200,000 long paths.
GIT_OUTPUT_BYTES = 64 * MIB
# The largest single file git may write into a mirror or checkout; a bomb ends here and not with a full disk.
MIRROR_FILE_BYTES = 16 * 1024 * MIB
GIT_LOW_SPEED_BYTES = 1000
GIT_LOW_SPEED_S = 60
# git itself allows longer names; forges do not show them.
REF_NAME_BYTES = 255
# One blob that the service itself reads (.gitops.yaml, project.yaml).
REPOSITORY_FILE_BYTES = 1 * MIB
CHECKOUT_FILES = 200_000
CHECKOUT_BYTES = 4 * 1024 * MIB
# Folders in folders; Linux ends a path at 4096 bytes anyway.
CHECKOUT_DEPTH = 100
# A commit up to this is written to a folder by ourselves, in the time that a git takes to start.
SMALL_FILES = 200
SMALL_BYTES = 4 * MIB
# From this many files on a checkout takes long enough that one is kept ready, if it is not larger than the bytes.
SPARE_FILES = 2_000
SPARE_BYTES = 1024 * MIB
# A push needs two checkouts, to load the project and to run it.
SPARES = 2
# Archives that are kept; made again in seconds when they are asked for after all.
ARCHIVES_BYTES = 2 * 1024 * MIB
# While one is made, others who ask for it hold a thread for so long, and come again.
ARCHIVE_WAIT_S = 10.0
# Commit messages, for skip tokens and notifications.
COMMIT_MESSAGE_CHARACTERS = 64 * KIB
# A mirror with more packs or loose objects is repacked (git's own gc.auto: 50 packs, 6700 objects).
MIRROR_PACKS = 50
MIRROR_LOOSE_OBJECTS = 6700

# YAML read by the service: a bomb of aliases grows past these while it is still small on disk.
YAML_ALIASES = 100
YAML_DEPTH = 50
YAML_NODES = 50_000

# A cron expression: what its column holds.
CRON_BYTES = 200
# Missed fires of a schedule that are told one by one, the latest: they are rows of one transaction. A minutely schedule
# that slept a day has 1,440.
CATCH_UP_FIRES = 2_000
# A fire is on time when it is looked at within this; a schedule that does not catch up lets go of later ones.
FIRE_ON_TIME_S = 60.0
# A save waits so long at most for the runs that MLRun was given before it, until their first step shows that they have read their
# configuration: longer than a pod takes to begin that does not wait for a place.
MLRUN_BEGINS_S = 60.0
# A submit that MLRun did not answer is looked up for so long, several times what an answer may take; then its run is lost.
MLRUN_DOUBT_S = 120.0
# A run that was lost so is looked for so long, in case it turns up.
MLRUN_LATE_S = 24 * 3600.0
# What of a requirements file goes into an image: MLRun hands it to its builder in one variable of the environment, in base64, and Linux
# takes 128 KiB of those (MAX_ARG_STRLEN).
REQUIREMENTS_BYTES = 64 * KIB
# An image that MLRun builds: longer than pip needs for the largest; MLRun itself knows no end.
BUILD_TIMEOUT_S = 2 * 3600.0
# A build that MLRun did not answer, or of which it has no builder, is looked up for so long before it is asked for again, and so often.
BUILD_DOUBT_S = 30.0
BUILD_TRIES = 3
# What is kept of what the builder printed: people see the end of it.
BUILD_LOG_BYTES = 24 * KIB
# Closer fires are refused by MLRun (httpdb.scheduling.min_allowed_interval, "10 minutes" by default).
MLRUN_FIRES_APART_S = 600.0
# How often a job is started that dies before it claims itself, before it is called failed.
LAUNCH_STARTS = 5
# A pattern of refs or paths, and how many a declaration may hold: matching costs patterns x paths.
PATTERN_BYTES = 200
PATTERNS = 100
# Differences that a plan lists; the rest is counted. A first revision has few, a rewritten one rarely more.
PLAN_CHANGES = 500
# A value in a plan is shown up to here, then by its size and digest.
PLAN_VALUE_BYTES = 400

# Plans that people asked to see, kept for each project and for so long: to be looked at, no history.
PREVIEWS_KEPT = 100
PREVIEWS_KEPT_S = 7 * 24 * 3600.0
# Plans of one project that may wait at the same time: a load each, of which two go on at once.
PREVIEWS_OPEN = 20

# Runs.
LOAD_TIMEOUT_S = 300.0
RUN_TIMEOUT_S = 24 * 3600.0
# SIGTERM first, SIGKILL this much later.
CANCEL_GRACE_S = 5.0
# One line of a run's event file; a longer one is cut by the runner.
EVENT_BYTES = 256 * KIB
# All events of a run; a longer file is somebody's endless loop, and only its end is still looked at.
RUN_EVENTS_BYTES = 64 * MIB
# Processes and threads of the runner's own user: far above what training needs, far below a fork bomb.
RUN_PROCESSES = 4096
# One answer of `logs`.
LOG_CHUNK_BYTES = 256 * KIB
# A run's log on disk; what a workflow prints beyond it is dropped with a remark.
RUN_LOG_BYTES = 64 * MIB
# A load's result: plain JSON of a project.
LOAD_RESULT_BYTES = 16 * MIB
# What a load in a pod printed, and that there was one, is kept for so long: as plans that people asked to see.
POD_LOADS_KEPT_S = 7 * 24 * 3600.0
# Jobs in pods. A pod asks so often whether it is to end, where it has nothing else to say; 500 pods are 33 requests a second.
POD_LOOK_S = 15.0
# What a pod has still to tell when its job has ended it tries to tell for so long.
POD_FLUSH_S = 3600.0
# Lines of a job in the store: 10,000 steps with their artifacts. What comes beyond them is dropped by the pod, the last excepted.
POD_LINES = 50_000
# One message of a pod: some lines, of which the longest fits in.
POD_LINES_BYTES = 1 * MIB
# Its lines; the runner sends 500 at most. Without a cap a message of empty ones would cost seconds to look at.
POD_LINES_AT_ONCE = 1_000
# Claims and what an image lacks are small objects.
POD_WORDS_BYTES = 64 * KIB
# An idle warm runner ends itself.
WARM_IDLE_S = 60.0
WARM_PARENTS = 2
# Processes that wait to look after a job. A push has two jobs, to load the project and to run it.
KEEPERS = 2

# The MLRun API. One answer: a page of functions whose code is in them, a hundred files of 600 kB.
MLRUN_ANSWER_BYTES = 64 * MIB
# A page of a list, and how many pages there may be: 20,000 functions; a server that never ends its list ends here.
MLRUN_PAGE = 100
MLRUN_PAGES = 200
# What is read of a run's log at once; MLRun's own client asks for as much.
MLRUN_LOG_BYTES = 1 * MIB
# What is quoted of an answer that refuses.
MLRUN_QUOTE_CHARACTERS = 500
# What the server is and can is asked again after so long, and after every outage: it may have been upgraded unnoticed.
MLRUN_SERVER_S = 600.0

# Lists page by cursor.
PAGE_DEFAULT = 50
PAGE_MAX = 500
