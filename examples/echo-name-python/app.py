import json
import logging
import os
import sys
import time

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

greeting = os.environ.get("GREETING", "Hello")
calls = Counter("echo_calls_total", "Calls by status", ["status"])
seconds = Histogram("echo_call_seconds", "How long a call took")

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
log = logging.getLogger("echo-name")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024


@app.before_request
def begin():
    g.began = time.monotonic()


@app.after_request
def record(response):
    if request.path in ("/metrics", "/_/health"):
        return response
    took = time.monotonic() - g.began
    calls.labels(response.status_code).inc()
    seconds.observe(took)
    # One JSON line per request; the traceparent ties it to the platform's trace of the call.
    line = {
        "level": "info",
        "message": f"{request.method} {request.path} {response.status_code}",
        "ms": round(took * 1000, 1),
        "callId": request.headers.get("x-call-id"),
        "traceparent": request.headers.get("traceparent"),
    }
    log.info(json.dumps(line))
    return response


# As /function/echo-name-python it is called at its root.
@app.post("/")
@app.post("/echo-name")
def echo():
    body = request.get_json(force=True)
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str) or not name.strip():
        return Response("name must be a text that is not empty\n", 400, mimetype="text/plain")
    return Response(f"{greeting}, {name.strip()}", mimetype="text/plain")


@app.get("/_/health")
def health():
    return Response("ok\n", mimetype="text/plain")


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
