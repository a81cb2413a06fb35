# Images as people make them of mlrun/mlrun-kfp; each is a way in which another image can surprise what runs in it.
ARG PLAIN

# hadolint ignore=DL3006
FROM ${PLAIN} AS user1000
USER 1000

# hadolint ignore=DL3006
FROM ${PLAIN} AS home-root
ENV HOME=/

# hadolint ignore=DL3006
FROM ${PLAIN} AS workdir
WORKDIR "/srv/an odd place"
RUN chmod 0555 .

# As what is made of Anaconda: `python` is found by the image's PATH alone.
# hadolint ignore=DL3006
FROM ${PLAIN} AS conda
RUN mkdir /opt/conda \
 && cp -a /usr/local/. /opt/conda/ \
 && rm -rf /usr/local/bin /usr/local/include /usr/local/lib \
 && find /opt/conda/bin -type f -exec sed -i '1s|^#!/usr/local/bin/|#!/opt/conda/bin/|' {} +
ENV PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
