import { textOf, withoutFolder, type SourceTree } from './source-tree.ts';
import type { BuildPhase, BuildPlan, PlanRequest } from './build-plan.ts';
import { describePythonSearch, findPythonApp, type PythonApp } from './find-python-app.ts';
import { ensure, pythonDependencies, readPyproject } from './plan-python-install.ts';
import { failed } from './plan-node-install.ts';
import { argvOf, inShell, procfileWeb } from './plan-start-command.ts';
import { readHandler, registeredHandlers } from './read-handler.ts';

/** What is installed when a project needs it and does not bring it. */
const servers = {
  gunicorn: { module: 'gunicorn', package: 'gunicorn==27.0.1' },
  uvicorn: { module: 'uvicorn', package: 'uvicorn==0.54.0' },
  'functions-framework': { module: 'functions_framework', package: 'functions-framework==3.10.2' },
} as const;
type Server = keyof typeof servers;

interface Start {
  readonly command: string[];
  readonly server?: Server | undefined;
  readonly environment?: Readonly<Record<string, string>>;
  /** Commands for when everything is installed. */
  readonly finish?: readonly string[][];
  readonly note?: string;
}

/** A Python source: its dependencies in a virtual environment beside it, and its application under a real server. */
export function planPython(request: PlanRequest): BuildPlan {
  const source = withoutFolder(withoutFolder(request.source, '.venv'), 'venv');
  const dependencies = pythonDependencies(source);
  const start = handlerStart(request, source) ?? appStart(source);
  const caches = { PIP_CACHE_DIR: 'pip', ...dependencies.caches };
  const server = start.server === undefined ? [] : [ensure(servers[start.server])];
  const finish = [...dependencies.finish, ...(start.finish ?? [])];
  const install: BuildPhase = {
    name: 'install',
    reads: dependencies.reads,
    makes: dependencies.reads === 'all' ? 'all' : ['.venv'],
    commands: [['python3', '-m', 'venv', '.venv'], ...dependencies.install, ...server],
    caches,
  };
  return {
    language: 'python',
    source: { ...source, files: [...source.files, ...dependencies.files] },
    notes: [...dependencies.notes, ...versionNotes(source), ...(start.note ? [start.note] : [])],
    phases:
      finish.length === 0
        ? [install]
        : [install, { name: 'build', reads: 'all', makes: 'all', commands: finish, caches }],
    path: ['.venv/bin'],
    buildEnvironment: {
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      PIP_NO_INPUT: '1',
      PIP_PROGRESS_BAR: 'off',
      // The platform tries a build again itself, so pip need not wait for minutes.
      PIP_RETRIES: '2',
      ...dependencies.environment,
      ...request.args,
    },
    start: start.command,
    environment: {
      // Python keeps its output back when it goes to no terminal; what it kept is lost when a machine ends.
      PYTHONUNBUFFERED: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      ...start.environment,
    },
  };
}

/** The versions a project asks for; a build uses the one Python that is there, and pip refuses what cannot work. */
function versionNotes(source: SourceTree): string[] {
  const asked = [
    [
      'runtime.txt',
      textOf(source, 'runtime.txt')
        ?.trim()
        .replace(/^python-/, ''),
    ],
    ['.python-version', textOf(source, '.python-version')?.trim().split('\n')[0]],
    ['pyproject.toml', readPyproject(source)?.project?.['requires-python']],
  ] as const;
  return asked.flatMap(([file, version]) =>
    version ? [`${file} asks for Python ${version}; builds use the one Python that is there.`] : [],
  );
}

function handlerStart(request: PlanRequest, source: SourceTree): Start | undefined {
  const named = readHandler(request) ?? inferredHandler(source);
  const target = named?.['FUNCTION_TARGET'];
  if (named === undefined || target === undefined) return undefined;
  const defines = new RegExp(String.raw`^(?:async )?def ${target}\(|^${target}\s*=`, 'm');
  const files = source.files.filter(({ path }) => /^(src\/)?[^/]+\.py$/.test(path));
  const main = [...files].sort((a, b) => Number(b.path === 'main.py') - Number(a.path === 'main.py'));
  const file = main.find(({ content }) => defines.test(content.toString('utf8')));
  if (file === undefined) {
    throw failed(
      `no Python file at the top of the source defines the function "${target}", which "handler:" in function.yaml names`,
    );
  }
  return {
    command: ['functions-framework'],
    server: 'functions-framework',
    environment: { ...named, ...(file.path === 'main.py' ? {} : { FUNCTION_SOURCE: file.path }) },
  };
}

/** A project with functions of the framework and nothing else to start is a function. */
function inferredHandler(source: SourceTree): Record<string, string> | undefined {
  if (procfileWeb(source) !== undefined) return undefined;
  const pattern =
    /^@functions_framework\.(?:http|cloud_event|typed)\b[^\n]*\n(?:[@#][^\n]*\n)*(?:async )?def (\w+)/gm;
  const names = registeredHandlers(source, /^(?:src\/)?[^/]+\.py$/, pattern);
  if (names.length <= 1) return names[0] === undefined ? undefined : { FUNCTION_TARGET: names[0] };
  throw failed(`it has several functions (${names.join(', ')}); choose one with "handler:" in function.yaml`);
}

function appStart(source: SourceTree): Start {
  const procfile = procfileWeb(source);
  const app = findPythonApp(source);
  const finish = app?.kind === 'django' && app.collectsStatic ? [collectStatic] : [];
  if (procfile !== undefined) {
    const program = procfile.split(' ')[0];
    const server = program === 'gunicorn' || program === 'uvicorn' ? program : undefined;
    return { command: argvOf(procfile), server, finish };
  }
  if (app === undefined) {
    throw failed(
      `it does not say how it starts; ${describePythonSearch}. Add one of these, a Procfile with a "web:" line, or "handler:" in function.yaml`,
    );
  }
  return { ...serve(app), finish };
}

/** Static files are collected as hosting companies do; a project whose settings need more than a build has goes on without. */
const collectStatic = [
  '/bin/sh',
  '-c',
  'python manage.py collectstatic --noinput || echo "The static files could not be collected; the program starts without them."',
];

function serve(app: PythonApp): Start {
  switch (app.kind) {
    case 'django':
      return gunicorn(app.target, `Django, served by gunicorn as ${app.target}.`);
    case 'wsgi':
      return gunicorn(app.target, `The WSGI application ${app.target} is served by gunicorn.`);
    case 'asgi': {
      const factory = app.factory ? ' --factory' : '';
      return {
        command: inShell(`uvicorn --host 0.0.0.0 --port "$PORT"${factory} ${app.target}`),
        server: 'uvicorn',
        note: `The ASGI application ${app.target} is served by uvicorn.`,
      };
    }
    case 'script':
      return { command: ['python', app.file] };
  }
}

/** It binds 0.0.0.0:$PORT by itself. The platform limits how long a call takes, so a worker is not killed for being busy. */
function gunicorn(target: string, note: string): Start {
  return {
    command: ['gunicorn', '--workers=1', '--threads=8', '--timeout=0', target],
    server: 'gunicorn',
    note,
  };
}
