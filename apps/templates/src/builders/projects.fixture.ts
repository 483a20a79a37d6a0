/**
 * Small projects in the shapes that people already have: what hosting companies show to newcomers, and functions written for
 * the Functions Framework. Each answers `GET /` with a text that holds its name.
 */
export interface Project {
  readonly language: 'node' | 'python' | 'go';
  readonly files: Readonly<Record<string, string | object>>;
  readonly handler?: string;
  /** It takes CloudEvents and writes `event <type> <subject> <name of data>` to its output. */
  readonly takesEvents?: boolean;
}

const python = { 'requirements.txt': 'Flask==3.1.2\n' };
const goFramework = `require github.com/GoogleCloudPlatform/functions-framework-go v1.9.2\n`;

export const projects = {
  'an Express program with a Procfile and engines': {
    language: 'node',
    files: {
      'package.json': {
        name: 'getting-started',
        version: '1.0.0',
        engines: { node: '20.x || 22.x' },
        scripts: { start: 'node index.js' },
        dependencies: { express: '^5.1.0' },
      },
      Procfile: 'web: npm start\n',
      'index.js': `const app = require('express')();
app.get('/', (request, response) => response.send('hello from express in ' + process.env.NODE_ENV));
app.listen(process.env.PORT || 3000);`,
    },
  },
  'a Node.js function that is only exported': {
    language: 'node',
    handler: 'hello',
    files: {
      'package.json': { name: 'hello', main: 'index.js' },
      'index.js': `exports.hello = (request, response) => response.send('hello from node ' + request.method);`,
    },
  },
  'a Node.js function for events': {
    language: 'node',
    takesEvents: true,
    files: {
      'package.json': { dependencies: { '@google-cloud/functions-framework': '^5.0.0' } },
      'index.js': `const functions = require('@google-cloud/functions-framework');
functions.cloudEvent('onOrder', (event) => console.log('event', event.type, event.subject, event.data.name));`,
    },
  },
  'a Flask program that only has an object': {
    language: 'python',
    files: {
      ...python,
      'runtime.txt': 'python-3.12.3\n',
      'app.py': `from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "hello from flask"


if __name__ == "__main__":
    app.run(debug=True)
`,
    },
  },
  'a FastAPI program with a pyproject.toml': {
    language: 'python',
    files: {
      'pyproject.toml': `[project]
name = "fast"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["fastapi"]
`,
      'main.py': `from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "hello from fastapi"}
`,
    },
  },
  'a Django project with a Procfile and static files': {
    language: 'python',
    files: {
      'requirements.txt': 'django>=5,<6\ngunicorn\nwhitenoise\n',
      '.python-version': '3.13\n',
      Procfile: 'release: ./manage.py migrate --no-input\nweb: gunicorn gettingstarted.wsgi --log-file -\n',
      'manage.py': `#!/usr/bin/env python
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gettingstarted.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
`,
      'gettingstarted/__init__.py': '',
      'gettingstarted/settings.py': `from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
ROOT_URLCONF = "gettingstarted.urls"
WSGI_APPLICATION = "gettingstarted.wsgi.application"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "assets"]
STATIC_ROOT = BASE_DIR / "staticfiles"
`,
      'gettingstarted/urls.py': `from pathlib import Path

from django.http import HttpResponse
from django.urls import path

collected = Path(__file__).parent.parent / "staticfiles" / "site.css"
urlpatterns = [path("", lambda request: HttpResponse(f"hello from django, {collected.exists()}"))]
`,
      'gettingstarted/wsgi.py': `import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gettingstarted.settings")
application = get_wsgi_application()
`,
      'assets/site.css': 'body { color: black }\n',
    },
  },
  'a Python function': {
    language: 'python',
    handler: 'hello',
    files: {
      ...python,
      'main.py': `import functions_framework


@functions_framework.http
def hello(request):
    return "hello from python " + request.method
`,
    },
  },
  'a Python function for events': {
    language: 'python',
    takesEvents: true,
    files: {
      'requirements.txt': 'functions-framework==3.*\n',
      'main.py': `import functions_framework


@functions_framework.cloud_event
def on_order(event):
    print("event", event["type"], event["subject"], event.data["name"])
`,
    },
  },
  'a Go program with templates and a Procfile': {
    language: 'go',
    files: {
      'go.mod': 'module example.com/go-getting-started\n\ngo 1.22\n',
      Procfile: 'web: bin/go-getting-started\n',
      'templates/index.html': 'hello from {{.}}',
      'main.go': `package main

import (
	"html/template"
	"log"
	"net/http"
	"os"
)

func main() {
	page := template.Must(template.ParseFiles("templates/index.html"))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, "go")
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`,
    },
  },
  'a Go function': {
    language: 'go',
    handler: 'Hello',
    files: {
      'go.mod': `module example.com/hello\n\ngo 1.22\n\n${goFramework}`,
      'function.go': `package hello

import (
	"fmt"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() {
	functions.HTTP("Hello", hello)
	functions.HTTP("Other", hello)
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "hello from go ", r.Method)
}
`,
    },
  },
  'a Go function for events': {
    language: 'go',
    takesEvents: true,
    files: {
      'go.mod': `module example.com/events\n\ngo 1.22\n\n${goFramework}`,
      'function.go': `package events

import (
	"context"
	"fmt"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"github.com/cloudevents/sdk-go/v2/event"
)

func init() { functions.CloudEvent("OnOrder", onOrder) }

func onOrder(_ context.Context, e event.Event) error {
	var data struct{ Name string }
	if err := e.DataAs(&data); err != nil {
		return err
	}
	fmt.Println("event", e.Type(), e.Subject(), data.Name)
	return nil
}
`,
    },
  },
} satisfies Record<string, Project>;
