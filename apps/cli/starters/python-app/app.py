import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello():
    name = request.args.get("name") or "world"
    print(f"greeting {name}")
    return f"{os.environ.get('GREETING', 'Hello')}, {name}!\n", {"Content-Type": "text/plain; charset=utf-8"}


@app.get("/_/health")
def health():
    return "ok\n"
