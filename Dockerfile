# occvino's runtime and server: no torch, no compiler, not root. Built from the wheel:
#   python -m build --wheel && docker build -t occvino .
#   docker run --rm -p 8000:8000 -p 8001:8001 -v "$PWD/m0:/artifact:ro" occvino
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

COPY dist/occvino-*.whl constraints-serve.txt /tmp/wheel/
RUN wheel=$(echo /tmp/wheel/occvino-*.whl) \
    && pip install -c /tmp/wheel/constraints-serve.txt "${wheel}[serve,fast]" \
    && rm -r /tmp/wheel \
    && useradd --system --uid 10001 --no-create-home occvino

USER 10001
EXPOSE 8000 8001
# the container's own network is the limit here: publish ports to where they may be reached from
ENTRYPOINT ["occvino"]
CMD ["serve", "/artifact", "--host", "0.0.0.0"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
