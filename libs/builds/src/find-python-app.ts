import { findFile, type SourceTree, textOf } from './source-tree.ts';

/** What of a Python source can be served; `target` is written `module:object`, as servers take it. */
export type PythonApp =
  | { kind: 'django'; target: string; collectsStatic: boolean }
  | { kind: 'wsgi'; target: string }
  | { kind: 'asgi'; target: string; factory: boolean }
  | { kind: 'script'; file: string };

const names = ['main', 'app', 'application', 'wsgi', 'asgi', 'server', 'run', 'api', 'index'];

/** Completes "it does not say how it starts; …". */
export const describePythonSearch =
  'looked for manage.py; for a Flask, FastAPI, Starlette, Quart or other WSGI or ASGI object, or create_app(), ' +
  `in ${names.slice(0, 7).join('.py, ')}.py and the packages at the top; and for such a file to run as it is`;

const wsgiClasses = 'Flask|APIFlask|Bottle|Pyramid|get_wsgi_application|default_app|make_wsgi_app';
const asgiClasses = 'FastAPI|Starlette|Quart|Litestar|Sanic|Robyn|get_asgi_application|ASGIApp';
const object = String.raw`^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:[\w]+\.)*`;
const patterns = {
  wsgi: new RegExp(String.raw`${object}(?:${wsgiClasses})\(`, 'm'),
  asgi: new RegExp(String.raw`${object}(?:${asgiClasses})\(`, 'm'),
  wsgiCallable: /^def (app|application)\(\s*environ\b/m,
  asgiCallable: /^async def (app|application)\(\s*scope\b/m,
  /** Dash keeps its Flask application under this name. */
  dash: /^(server)[ \t]*=[ \t]*\w+\.server\b/m,
  made: /^(app|application|server|api)[ \t]*=[ \t]*(?:\w+\.)*(?:create|make|get|build|init)_\w+\(/m,
  factory: /^def (create_app|make_app)\(/m,
};

/** A careful look at the text: only what stands at the start of a line, outside of long strings, counts. */
export function findPythonApp(source: SourceTree): PythonApp | undefined {
  const django = findDjango(source);
  if (django !== undefined) return django;
  const files = candidates(source);
  const asynchronous = usesAsgi(files.map((path) => codeOf(source, path)).join('\n'));
  const factories: PythonApp[] = [];
  for (const path of files) {
    const code = codeOf(source, path);
    if (/\bsocketio\.run\(|\brun_app\(/.test(code)) return { kind: 'script', file: path };
    const module = moduleOf(path);
    const wsgi = firstName(code, [patterns.dash, patterns.wsgi, patterns.wsgiCallable]);
    if (wsgi !== undefined) return { kind: 'wsgi', target: `${module}:${wsgi}` };
    const asgi = firstName(code, [patterns.asgi, patterns.asgiCallable]);
    if (asgi !== undefined) return { kind: 'asgi', target: `${module}:${asgi}`, factory: false };
    const made = firstName(code, [patterns.made]);
    if (made !== undefined) {
      const target = `${module}:${made}`;
      return asynchronous ? { kind: 'asgi', target, factory: false } : { kind: 'wsgi', target };
    }
    const factory = firstName(code, [patterns.factory]);
    if (factory === undefined) continue;
    const target = `${module}:${factory}`;
    factories.push(
      asynchronous ? { kind: 'asgi', target, factory: true } : { kind: 'wsgi', target: `${target}()` },
    );
  }
  const script = ['main.py', 'app.py', 'server.py', 'run.py', 'application.py', 'src/main.py'].find((path) =>
    findFile(source, path),
  );
  return factories[0] ?? (script === undefined ? undefined : { kind: 'script', file: script });
}

/** The usual names at the top, then in a package at the top; one of `src` is imported with its folder's name. */
function candidates(source: SourceTree): string[] {
  const top = names.map((name) => `${name}.py`).filter((path) => findFile(source, path));
  const packages = source.files
    .map(({ path }) => path)
    .filter((path) => /^(?!tests?\/)[A-Za-z_]\w*\/(\w+)\.py$/.test(path))
    .filter((path) => ['__init__', ...names].includes(path.split('/')[1]?.replace('.py', '') ?? ''))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return [...top, ...packages];
}

function rank(path: string): number {
  const [folder = '', file = ''] = path.split('/');
  const within = ['__init__.py', ...names.map((name) => `${name}.py`)].indexOf(file);
  return (['app', 'src', 'api'].includes(folder) ? 0 : 100) + within;
}

function moduleOf(path: string): string {
  return path
    .replace(/\.py$/, '')
    .replace(/\/__init__$/, '')
    .replaceAll('/', '.');
}

function firstName(code: string, from: readonly RegExp[]): string | undefined {
  for (const pattern of from) {
    const name = pattern.exec(code)?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}

function usesAsgi(code: string): boolean {
  return (
    /^(?:from|import) (?:fastapi|starlette|quart|litestar)\b/m.test(code) &&
    !/^(?:from|import) flask\b/m.test(code)
  );
}

/** Without what stands in long strings. */
function codeOf(source: SourceTree, path: string): string {
  return (textOf(source, path) ?? '').replaceAll('\r\n', '\n').replaceAll(/("""|''')[^]*?\1/g, '""');
}

function findDjango(source: SourceTree): PythonApp | undefined {
  const manage = textOf(source, 'manage.py');
  const settings = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]/.exec(manage ?? '')?.[1];
  if (manage === undefined || settings === undefined) return undefined;
  const base = settings.replaceAll('.', '/');
  const texts = source.files
    .filter(
      ({ path }) =>
        path === `${base}.py` || (path.startsWith(`${base.split('/')[0]}/`) && /settings/.test(path)),
    )
    .map(({ content }) => content.toString('utf8'))
    .join('\n');
  const named = /^WSGI_APPLICATION\s*=\s*['"]([\w.]+)\.(\w+)['"]/m.exec(texts);
  const found = source.files.find(
    ({ path, content }) => /(^|\/)wsgi\.py$/.test(path) && content.includes('get_wsgi_application'),
  );
  const target = named
    ? `${named[1] ?? ''}:${named[2] ?? ''}`
    : found && `${moduleOf(found.path)}:application`;
  if (target === undefined) return undefined;
  return { kind: 'django', target, collectsStatic: /^STATIC_ROOT\s*=/m.test(texts) };
}
