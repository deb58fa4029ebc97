# Two images: `app` (the default) for the screen and the worker, `mlflow` for the server that keeps the runs.
# No secret goes in: settings come from the environment when a container starts. Both run on a read-only file system
# (`docker run --read-only -v /tmp`): the app writes to /data and /tmp, MLflow to /tmp.

# The digest is that of the index for all processors. A newer one: docs/how-to/run-in-containers.md
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG ALLOW_CUDA=
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv
# torch comes first and alone, from the index of its CPU build and no other: PyPI's needs several gigabytes more
RUN /venv/bin/pip install -q --no-cache-dir --no-deps --index-url ${TORCH_INDEX} "$(grep '^torch==' requirements.txt)"
RUN /venv/bin/pip install -q --no-cache-dir -r requirements.txt
RUN [ -n "${ALLOW_CUDA}" ] || /venv/bin/python -c "import sys, torch; sys.exit(torch.version.cuda and f'torch {torch.__version__} is a build for CUDA. To keep it: --build-arg ALLOW_CUDA=1')"


FROM ${PYTHON_IMAGE} AS mlflow
COPY requirements.txt /tmp/requirements.txt
# Flask-WTF is all that MLflow's own sign-in (--app-name=basic-auth) needs besides
RUN pip install -q --no-cache-dir $(grep -E '^(mlflow|google-cloud-storage|psycopg\[binary\])==' /tmp/requirements.txt) "Flask-WTF==1.3.0"
RUN useradd --create-home --uid 10001 vigie
USER vigie
WORKDIR /tmp
ENV PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["mlflow", "server", "--host=0.0.0.0", "--port=5000", "--workers=1"]


FROM ${PYTHON_IMAGE} AS app
RUN useradd --create-home --uid 10001 vigie && mkdir /data && chown vigie:vigie /data
COPY --from=build /venv /venv
WORKDIR /app
COPY LICENSE app.py styles.css ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY locales locales
COPY mlflow_utils mlflow_utils
COPY core core
COPY pages pages
# what holds where `docker run --env-file` sets the same variables to nothing
RUN printf '%s\n' VIGIE_DATA_DIR=/data VIGIE_REQUIRE_SIGN_IN=true > .env
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    OMP_NUM_THREADS=1 \
    VIGIE_DATA_DIR=/data \
    VIGIE_MLFLOW_ADDRESS=0.0.0.0:5000 \
    VIGIE_REQUIRE_SIGN_IN=true
USER vigie
VOLUME /data
EXPOSE 5000
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true"]
