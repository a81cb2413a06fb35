"""`mlrun db` of MLRun 1.5.2, but on loopback; run by the API server's own Python 3.9: program.py [SERVICE_ACCOUNT].

SERVICE_ACCOUNT is a folder with the files of a service account (token, ca.crt, namespace): MLRun watches its pods, reads their logs and
removes them only where it finds itself in a cluster, which it looks for in /var/run/secrets.
"""

import sys


def _in_cluster(folder):
    from kubernetes.config import incluster_config

    incluster_config.SERVICE_TOKEN_FILENAME = f"{folder}/token"
    incluster_config.SERVICE_CERT_FILENAME = f"{folder}/ca.crt"


def _on_loopback():
    """MLRun binds to every address, and has no setting for it."""
    import uvicorn

    run = uvicorn.run
    uvicorn.run = lambda *words, **options: run(*words, **{**options, "host": "127.0.0.1"})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _in_cluster(sys.argv[1])
    _on_loopback()
    from mlrun.api.main import main

    main()
