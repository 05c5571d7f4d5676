# The operator's image. BASE is any image with Python 3.11 or newer as `python3`, with venv.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# For builds behind a mirror or a CA of the house.
ARG PIP_CERT
ARG SSL_CERT_FILE
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
COPY requirements.lock /src/
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir -q uv==0.13.9 \
    && /uv/bin/uv venv -q --python python3 /venv \
    && VIRTUAL_ENV=/venv /uv/bin/uv pip install -q --no-cache --compile-bytecode \
       --require-hashes -r /src/requirements.lock
COPY operator/ondol /app/ondol
RUN /venv/bin/python -m compileall -q /app

FROM ${BASE}
LABEL org.opencontainers.image.title="ondol" \
      org.opencontainers.image.description="Operator for an in-house LLM service on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["python", "-m", "ondol.cli"]
CMD ["run"]
