"""The stand-ins for MLRun's images run its real packages, each in its odd way."""

from __future__ import annotations

import pytest

from tests.peers.containers import Engine
from tests.peers.containers.lookalikes import PLAIN, VARIANTS, VERSION, ensure_mlrun_kfp

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]  # the first one is made, from packages

_PACKAGES = "import kfp, mlrun, sys; print(mlrun.__version__, kfp.__version__, *sys.version_info[:2], sep='|')"
_SURROUNDINGS = (
    "import os, shutil; print(os.getuid(), os.environ.get('HOME'), shutil.which('python'), os.getcwd(), sep='|')"
)
# MLRun is imported in four seconds on a machine that has nothing else to do.
_IMPORT_S = 300
_LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def _ask(engine: Engine, variant: str, program: str, *options: str) -> list[str]:
    """What `python`, found as a pod's command finds it, says of itself."""
    image = ensure_mlrun_kfp(engine, variant)
    return engine.run(image, "python", "-c", program, options=options, timeout_s=_IMPORT_S).stdout.strip().split("|")


@pytest.mark.parametrize("variant", [PLAIN, *VARIANTS], ids=lambda variant: variant or "plain")
def test_each_imports_mlrun_and_kfp_on_python_39_also_where_nothing_may_be_written(
    engine: Engine, variant: str
) -> None:
    assert _ask(engine, variant, _PACKAGES, *_LOCKED_DOWN) == [VERSION, "1.8.22", "3", "9"]


def test_each_is_odd_as_its_name_says(engine: Engine) -> None:
    def around(variant: str) -> dict[str, str]:
        names = ("uid", "home", "python", "folder")
        return dict(zip(names, _ask(engine, variant, _SURROUNDINGS), strict=True))

    assert around(PLAIN) == {"uid": "0", "home": "/root", "python": "/usr/local/bin/python", "folder": "/mlrun"}
    assert around("user1000")["uid"] == "1000"
    assert around("home-root")["home"] == "/"
    assert around("workdir")["folder"] == "/srv/an odd place"
    assert around("conda")["python"] == "/opt/conda/bin/python"


def test_the_one_of_anaconda_has_no_other_python(engine: Engine) -> None:
    found = engine.run(ensure_mlrun_kfp(engine, "conda"), "sh", "-c", "ls /usr/bin/python* /usr/local/bin/* || true")
    assert "python" not in found.stdout


def test_the_variants_share_the_plain_ones_layers(engine: Engine) -> None:
    layers = {each: engine.inspect(ensure_mlrun_kfp(engine, each))["RootFS"]["Layers"] for each in (PLAIN, *VARIANTS)}
    for variant in VARIANTS:
        assert layers[variant][: len(layers[PLAIN])] == layers[PLAIN]
