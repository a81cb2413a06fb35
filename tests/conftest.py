"""What holds for every test: peers that may be missing, the size of the kill loops, a git that knows no machine."""

from __future__ import annotations

import compileall
import os
import signal
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

from tests.peers import present
from tests.peers.kubernetes.fixtures import cluster, kubelet, namespace, shared_cluster, shared_kubelet
from tests.peers.mlrun_api.fixtures import mlrun_place
from tests.peers.mlrun_stand_in.fixtures import mlrun_1_9, mlrun_1_12, mlrun_stand_in, stand_in_1_9, stand_in_1_12

__all__ = [
    "cluster",
    "kubelet",
    "mlrun_1_9",
    "mlrun_1_12",
    "mlrun_place",
    "mlrun_stand_in",
    "namespace",
    "shared_cluster",
    "shared_kubelet",
    "stand_in_1_9",
    "stand_in_1_12",
]

# The same git on every machine: no configuration of the user or the system, but somebody to sign commits.
os.environ |= {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}
# Settings of a service that somebody runs here are not ours.
for _name in [name for name in os.environ if name.startswith("GITOPS_")]:
    del os.environ[_name]

# Examples are random for people and the same each time in CI, where a find would hit a change that did not cause it. How
# long an example takes says something about the machine only.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")

# Whoever started us in the background may have had Ctrl-C ignored, which all that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

_MISSING = "peer missing: "
_TAKES_TIME = ("slow", "faults", *present.PEERS)
_ROOT = Path(__file__).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Tests start the service hundreds of times; where nobody may write bytecode, each start would compile all of it."""
    if not hasattr(config, "workerinput"):
        for package in ("service", "handlers"):
            compileall.compile_dir(_ROOT / package, quiet=2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take whole files, so those that take long come first: at the end no worker waits for another's last one.

    What a file's tests need and say of themselves tells how long they take, then how many they are.
    """
    needs, sizes = Counter[Path](), Counter(item.path for item in items)
    for item in items:
        needs[item.path] = max(needs[item.path], sum(bool(item.get_closest_marker(name)) for name in _TAKES_TIME))
    items.sort(key=lambda item: (-needs[item.path], -sizes[item.path], item.path))


@pytest.fixture(scope="session")
def faults() -> int:
    """How often a kill loop kills: FAULTS, else 2."""
    return int(os.environ.get("FAULTS", "2"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    wish = os.environ.get("REQUIRE_PEERS", "")
    for name in present.PEERS:
        if not item.get_closest_marker(name):
            continue
        if (how := present.missing(name)) is None:
            continue
        if present.required(name, wish):
            pytest.fail(f"{_MISSING}{name}: {how}", pytrace=False)
        pytest.skip(f"{_MISSING}{name}: {how}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested here, and why: first the peers that were missing and the way to get them."""
    reasons = [
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    ]
    # By their first line: what follows names the place of one test.
    counted = Counter(reason.splitlines()[0] for reason in reasons)
    if counted:
        terminalreporter.section("skipped on this machine")
    for reason, count in sorted(counted.items(), key=lambda item: (not item[0].startswith(_MISSING), item[0])):
        terminalreporter.line(f"{count:4} {reason}")
