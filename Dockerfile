# The pipeline in a container; docs/machines.md has the commands.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
ARG UID=1000
RUN useradd --create-home --uid $UID user && mkdir /project /venv && chown user /project /venv
USER user
WORKDIR /project
# Outside /project, so that a checkout mounted there does not hide it.
ENV VENV=/venv PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1
COPY --chown=user requirements.txt ./
COPY --chown=user scripts/environment.sh scripts/
RUN sh scripts/environment.sh requirements.txt && touch $VENV/ready
COPY --chown=user . .
CMD ["make", "demo"]
