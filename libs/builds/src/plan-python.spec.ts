import { describe, expect, it } from 'vitest';

import { sourceOf, textOf } from './source-tree.ts';
import { planPython } from './plan-python.ts';

type Files = Record<string, string | object>;
const plan = (files: Files, handler?: string, args: Record<string, string> = {}) =>
  planPython({ source: sourceOf(files), functionName: 'a', handler, args });
const commands = (files: Files) =>
  plan(files).phases.flatMap((phase) => phase.commands.map((argv) => argv.join(' ')));
const script = { 'main.py': 'print("x")' };

describe('what is installed', () => {
  it('comes from requirements.txt and the files it names, apart from the code', () => {
    const made = plan({
      'requirements.txt': '-r requirements/base.txt\nflask\n',
      'requirements/base.txt': '-c limits.txt\n',
      'requirements/limits.txt': '',
      ...script,
    });
    expect(made.phases).toHaveLength(1);
    expect(made.phases[0]?.reads).toEqual([
      'requirements.txt',
      'requirements/base.txt',
      'requirements/limits.txt',
    ]);
    expect(made.phases[0]?.makes).toEqual(['.venv']);
  });

  it('reads the whole source where the project installs itself', () => {
    expect(plan({ 'requirements.txt': '-e .\n', ...script }).phases[0]?.reads).toBe('all');
  });

  it('is what pyproject.toml lists, and then the project itself when it can be built', () => {
    const toml = '[project]\nname = "a"\ndependencies = ["flask>=3", "six"]\n';
    const plain = plan({ 'pyproject.toml': toml, ...script });
    expect(textOf(plain.source, '.cestx/requirements.txt')).toBe('flask>=3\nsix\n');
    expect(plain.phases.map(({ name }) => name)).toEqual(['install']);
    const built = commands({
      'pyproject.toml': `${toml}\n[build-system]\nrequires = ["hatchling"]\n`,
      ...script,
    });
    expect(built.at(-1)).toBe('.venv/bin/python -m pip install --no-deps .');
  });

  it('is what a lock file says, before any list: uv', () => {
    const files = { 'uv.lock': '', 'pyproject.toml': '[project]\nname = "a"\n', 'requirements.txt': '' };
    expect(commands({ ...files, ...script })).toContain(
      '.venv/bin/uv sync --locked --no-dev --inexact --no-install-project',
    );
    expect(plan({ ...files, ...script }).notes).toContain(
      'Dependencies are read from uv.lock, not from requirements.txt.',
    );
  });

  it('is what a lock file says: poetry, also without one', () => {
    const toml = '[tool.poetry]\nname = "a"\n';
    const locks: Files[] = [{}, { 'poetry.lock': '' }];
    for (const lock of locks) {
      expect(commands({ 'pyproject.toml': toml, ...lock, ...script })).toContain(
        '.cestx/poetry/bin/poetry install --no-interaction --no-ansi --only=main --no-root',
      );
    }
  });

  it('is what a lock file says: Pipfile.lock with its hashes, markers and extras', () => {
    const lock = {
      _meta: { sources: [{ url: 'https://pypi.org/simple' }, { url: 'https://mine.example/simple' }] },
      default: {
        flask: { version: '==3.0.0', hashes: ['sha256:aa', 'sha256:bb'], markers: "python_version >= '3.8'" },
        celery: { version: '==5.0.0', extras: ['redis'] },
      },
      develop: { pytest: { version: '==8.0.0' } },
    };
    const made = plan({ 'Pipfile.lock': lock, ...script });
    expect(textOf(made.source, '.cestx/requirements.txt')).toBe(
      "--extra-index-url https://mine.example/simple\nflask==3.0.0 ; python_version >= '3.8' --hash=sha256:aa --hash=sha256:bb\ncelery[redis]==5.0.0\n",
    );
  });

  it.each([
    [{ 'pyproject.toml': 'nonsense', ...script }, 'pyproject.toml is not valid TOML'],
    [{ 'Pipfile.lock': '{', ...script }, 'Pipfile.lock is not valid JSON'],
    [{ Pipfile: '', ...script }, 'run pipenv lock'],
  ])('%j is refused with what is wrong', (files, reason) => {
    expect(() => plan(files as Files)).toThrow(reason);
  });
});

describe('what is served', () => {
  const gunicorn = (target: string) => ['gunicorn', '--workers=1', '--threads=8', '--timeout=0', target];
  const uvicorn = (target: string) => [
    '/bin/sh',
    '-c',
    `exec uvicorn --host 0.0.0.0 --port "$PORT" ${target}`,
  ];

  it.each<[string, Files, string[]]>([
    [
      'a Flask object',
      { 'app.py': 'from flask import Flask\n\napp = Flask(__name__)\n' },
      gunicorn('app:app'),
    ],
    [
      'a Flask object of another name',
      { 'main.py': 'import flask\nserver: flask.Flask = flask.Flask(__name__)\n' },
      gunicorn('main:server'),
    ],
    [
      'an application factory in a package',
      {
        'site/__init__.py':
          'from flask import Flask\n\ndef create_app(test_config=None):\n    app = Flask(__name__)\n',
      },
      gunicorn('site:create_app()'),
    ],
    [
      'what a factory made',
      { 'wsgi.py': 'from mine import create_app\napp = create_app()\n', 'mine.py': '' },
      gunicorn('wsgi:app'),
    ],
    [
      'a plain WSGI function',
      { 'app.py': 'def application(environ, start_response):\n    pass\n' },
      gunicorn('app:application'),
    ],
    [
      'a FastAPI object',
      { 'main.py': 'from fastapi import FastAPI\napp = FastAPI()\n' },
      uvicorn('main:app'),
    ],
    [
      'a FastAPI object in the package app',
      { 'app/__init__.py': '', 'app/main.py': 'from fastapi import FastAPI\napp = FastAPI(title="x")\n' },
      uvicorn('app.main:app'),
    ],
    [
      'a FastAPI factory',
      { 'main.py': 'from fastapi import FastAPI\ndef create_app() -> FastAPI:\n    return FastAPI()\n' },
      uvicorn('--factory main:create_app'),
    ],
    [
      'a Django project',
      {
        'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')",
        'mysite/settings.py': "WSGI_APPLICATION = 'mysite.wsgi.application'\n",
        'mysite/wsgi.py': 'application = get_wsgi_application()',
      },
      gunicorn('mysite.wsgi:application'),
    ],
    ['a program that serves by itself', { 'main.py': 'import http.server\n' }, ['python', 'main.py']],
    [
      'an object that only a comment or a long string shows is not',
      { 'main.py': '"""\napp = Flask(__name__)\n"""\n# app = Flask(__name__)\nx = 1\n' },
      ['python', 'main.py'],
    ],
    [
      'the web line of a Procfile',
      { Procfile: 'web: gunicorn mysite.wsgi --log-file -\n', 'app.py': '' },
      ['gunicorn', 'mysite.wsgi', '--log-file', '-'],
    ],
    [
      'a Procfile with $PORT, which needs a shell',
      { Procfile: 'web: uvicorn main:app --port=$PORT\n' },
      ['/bin/sh', '-c', 'exec uvicorn main:app --port=$PORT'],
    ],
  ])('is %s', (_, files, start) => {
    expect(plan({ 'requirements.txt': '', ...files }).start).toEqual(start);
  });

  it('collects the static files of a Django project that says where they go', () => {
    const files = {
      'requirements.txt': '',
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.settings')",
      'a/settings.py': "WSGI_APPLICATION = 'a.wsgi.application'\nSTATIC_ROOT = 'x'\n",
    };
    expect(commands(files).some((line) => line.includes('collectstatic'))).toBe(true);
  });

  it('is told as missing with all that was looked for', () => {
    expect(() => plan({ 'requirements.txt': '', 'tools/x.py': '' })).toThrow(
      /looked for manage\.py; .*Procfile/,
    );
  });

  it('writes its output at once', () => {
    expect(plan(script).environment).toMatchObject({ PYTHONUNBUFFERED: '1' });
  });
});

describe('a function', () => {
  const decorated = '@functions_framework.cloud_event\ndef on_order(event):\n    pass\n';

  it('that is named is served by the framework, from the file that defines it', () => {
    const made = plan({ 'hello.py': 'def hello(request):\n    return "x"\n', 'main.py': '' }, 'hello');
    expect(made.start).toEqual(['functions-framework']);
    expect(made.environment).toMatchObject({ FUNCTION_TARGET: 'hello', FUNCTION_SOURCE: 'hello.py' });
  });

  it('is found by its decorator when it is the only one', () => {
    expect(plan({ 'main.py': decorated }).environment).toMatchObject({ FUNCTION_TARGET: 'on_order' });
    expect(() => plan({ 'main.py': `${decorated}\n${decorated.replace('on_order', 'other')}` })).toThrow(
      'several functions (on_order, other)',
    );
  });

  it('that does not exist is told', () => {
    expect(() => plan({ 'main.py': decorated }, 'nothing')).toThrow('defines the function "nothing"');
    expect(() => plan({ 'main.py': decorated }, 'a; rm')).toThrow('is not the name of a function');
  });

  it('may be told its signature', () => {
    const args = { FUNCTION_SIGNATURE_TYPE: 'cloudevent' };
    expect(plan({ 'main.py': 'def f(e): pass\n' }, 'f', args).environment).toMatchObject(args);
    expect(() => plan({ 'main.py': 'def f(e): pass\n' }, 'f', { FUNCTION_SIGNATURE_TYPE: 'x' })).toThrow(
      'one of',
    );
  });
});
