import { dirname, join, normalize } from 'node:path/posix';

import { parse } from 'smol-toml';
import { z } from 'zod';

import type { SourceFile, SourceTree } from './source-tree.ts';
import { findFile, textOf } from './source-tree.ts';
import { textFile } from './build-plan.ts';
import { failed } from './plan-node-install.ts';

const uvVersion = '0.13.9';
const poetryVersion = '2.5.1';
const made = '.cestx/requirements.txt';

/** How the dependencies of a Python source get into its virtual environment. */
export interface PythonDependencies {
  readonly reads: 'all' | readonly string[];
  readonly files: readonly SourceFile[];
  readonly install: readonly (readonly string[])[];
  /** Commands that need the whole source, such as the install of the project itself. */
  readonly finish: readonly string[][];
  readonly environment: Readonly<Record<string, string>>;
  readonly caches: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

const pyprojectSchema = z.object({
  project: z
    .object({
      dependencies: z.array(z.string()).optional(),
      dynamic: z.array(z.string()).optional(),
      'requires-python': z.string().optional(),
    })
    .optional(),
  'build-system': z.unknown().optional(),
  tool: z
    .object({
      poetry: z.object({ 'package-mode': z.boolean().optional() }).optional(),
      uv: z
        .object({ package: z.boolean().optional(), sources: z.unknown(), workspace: z.unknown() })
        .partial()
        .optional(),
    })
    .optional(),
});
type Pyproject = z.output<typeof pyprojectSchema>;

const none: PythonDependencies = {
  reads: [],
  files: [],
  install: [],
  finish: [],
  environment: {},
  caches: {},
  notes: [],
};

/** A lock file says more than a list; of several, the one of the more particular tool is read. */
export function pythonDependencies(source: SourceTree): PythonDependencies {
  const ways = [
    ['uv.lock', fromUvLock],
    ['poetry.lock', fromPoetry],
    ['Pipfile.lock', fromPipfileLock],
    ['requirements.txt', fromRequirements],
    ['pyproject.toml', fromPyproject],
  ] as const;
  const present = ways.filter(([path]) => findFile(source, path));
  const [chosen, ...others] = present;
  if (chosen === undefined) {
    if (findFile(source, 'Pipfile'))
      throw failed('there is a Pipfile without a Pipfile.lock; run pipenv lock');
    return { ...none, notes: ['No list of dependencies was found; none are installed.'] };
  }
  const [path, way] = chosen;
  const ignored = others.map(([other]) => other).filter((other) => other !== 'pyproject.toml');
  const found = way(source);
  const note =
    ignored.length === 0 ? [] : [`Dependencies are read from ${path}, not from ${ignored.join(' or ')}.`];
  return { ...found, notes: [...note, ...found.notes] };
}

/** Installs a package where the project does not bring it. */
export function ensure(wanted: { module: string; package: string }): string[] {
  const install = `.venv/bin/python -m pip install ${wanted.package}`;
  return ['/bin/sh', '-c', `.venv/bin/python -c "import ${wanted.module}" 2>/dev/null || ${install}`];
}

export function readPyproject(source: SourceTree): Pyproject | undefined {
  const text = textOf(source, 'pyproject.toml');
  if (text === undefined) return undefined;
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    const [why = ''] = String(error instanceof Error ? error.message : error).split('\n');
    throw failed(`pyproject.toml is not valid TOML (${why})`);
  }
  const result = pyprojectSchema.safeParse(document);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw failed(`pyproject.toml: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it cannot be read'}`);
}

function pip(...args: string[]): string[] {
  return ['.venv/bin/python', '-m', 'pip', 'install', ...args];
}

function fromRequirements(source: SourceTree): PythonDependencies {
  const files = requirementFiles(source, 'requirements.txt', new Set());
  const local = [...files].some((path) =>
    /^\s*(?:-e\b|--editable\b|\.|file:)/m.test(textOf(source, path) ?? ''),
  );
  return { ...none, reads: local ? 'all' : [...files], install: [pip('-r', 'requirements.txt')] };
}

/** With the files it names by `-r` and `-c`. */
function requirementFiles(source: SourceTree, path: string, seen: Set<string>): Set<string> {
  if (seen.has(path) || !findFile(source, path)) return seen;
  seen.add(path);
  const text = textOf(source, path) ?? '';
  for (const [, name = ''] of text.matchAll(/^\s*(?:-r|-c|--requirement|--constraint)[ =]*([^\s#]+)/gm)) {
    requirementFiles(source, normalize(join(dirname(path), name)), seen);
  }
  return seen;
}

function fromPyproject(source: SourceTree): PythonDependencies {
  const { project, tool, ...rest } = readPyproject(source) ?? {};
  if (project === undefined) return tool?.poetry === undefined ? none : fromPoetry(source);
  const isPackage =
    rest['build-system'] !== undefined || source.files.some(({ path }) => path.startsWith('src/'));
  if (project.dynamic?.includes('dependencies')) return { ...none, reads: 'all', install: [pip('.')] };
  const wanted = project.dependencies ?? [];
  return {
    ...none,
    reads: wanted.length > 0 ? [made] : [],
    // Apart from the project itself, so that a change of code installs nothing anew.
    files: wanted.length > 0 ? [textFile(made, `${wanted.join('\n')}\n`)] : [],
    install: wanted.length > 0 ? [pip('-r', made)] : [],
    finish: isPackage ? [pip('--no-deps', '.')] : [],
  };
}

/** uv itself comes from the registry of Python packages and is gone when it has done its work. */
function fromUvLock(source: SourceTree): PythonDependencies {
  const pyproject = readPyproject(source);
  const uv = pyproject?.tool?.uv;
  const local = uv?.sources !== undefined || uv?.workspace !== undefined;
  const isPackage = uv?.package ?? pyproject?.['build-system'] !== undefined;
  const sync = (...args: string[]) => [
    pip(`uv==${uvVersion}`),
    ['.venv/bin/uv', 'sync', '--locked', '--no-dev', '--inexact', ...args],
    ['.venv/bin/python', '-m', 'pip', 'uninstall', '--yes', 'uv'],
  ];
  return {
    ...none,
    reads: local ? 'all' : ['pyproject.toml', 'uv.lock'],
    install: local ? sync('--no-editable') : sync('--no-install-project'),
    finish: isPackage && !local ? sync('--no-editable') : [],
    environment: {
      UV_PYTHON: '.venv/bin/python',
      UV_PYTHON_DOWNLOADS: 'never',
      UV_LINK_MODE: 'copy',
      UV_NO_PROGRESS: '1',
    },
    caches: { UV_CACHE_DIR: 'uv' },
  };
}

/** Poetry has an environment of its own while it works, so that what it needs itself is not mixed with the project. */
function fromPoetry(source: SourceTree): PythonDependencies {
  const locked = findFile(source, 'poetry.lock') ? ['poetry.lock'] : [];
  const pyproject = readPyproject(source);
  if (pyproject === undefined) throw failed('there is a poetry.lock without a pyproject.toml');
  const isPackage =
    pyproject.tool?.poetry?.['package-mode'] !== false && pyproject['build-system'] !== undefined;
  const folder = '.cestx/poetry';
  const poetry = (...args: string[]) => [
    ['python3', '-m', 'venv', folder],
    [`${folder}/bin/python`, '-m', 'pip', 'install', `poetry==${poetryVersion}`],
    [`${folder}/bin/poetry`, 'install', '--no-interaction', '--no-ansi', '--only=main', ...args],
    ['rm', '-rf', folder],
  ];
  // A package under src is found only when it is installed; anything else is imported from the folder it runs in.
  const needed = isPackage && source.files.some(({ path }) => path.startsWith('src/'));
  return {
    ...none,
    reads: needed ? 'all' : ['pyproject.toml', ...locked],
    install: needed ? poetry() : poetry('--no-root'),
    environment: { POETRY_VIRTUALENVS_IN_PROJECT: 'true' },
    caches: { POETRY_CACHE_DIR: 'poetry' },
  };
}

const pipfileLockSchema = z.object({
  default: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      hashes: z.array(z.string()).optional(),
      markers: z.string().optional(),
      extras: z.array(z.string()).optional(),
      path: z.string().optional(),
      file: z.string().optional(),
      git: z.string().optional(),
      ref: z.string().optional(),
    }),
  ),
  _meta: z.object({ sources: z.array(z.object({ url: z.string() })).optional() }).optional(),
});

/** What Pipfile.lock holds, written as requirements: pip checks its hashes, and pipenv is not needed. */
function fromPipfileLock(source: SourceTree): PythonDependencies {
  let document: unknown;
  try {
    document = JSON.parse(textOf(source, 'Pipfile.lock') ?? '');
  } catch {
    throw failed('Pipfile.lock is not valid JSON; run pipenv lock');
  }
  const result = pipfileLockSchema.safeParse(document);
  if (!result.success) throw failed('Pipfile.lock is not as pipenv writes it; run pipenv lock');
  const [index, ...others] = (result.data._meta?.sources ?? []).map(({ url }) => url);
  const urls = [
    ...(index === undefined || /^https:\/\/pypi\.(org|python\.org)\/simple\/?$/.test(index)
      ? []
      : [`--index-url ${index}`]),
    ...others.map((url) => `--extra-index-url ${url}`),
  ];
  let local = false;
  const lines = Object.entries(result.data.default).map(([name, entry]) => {
    const extras = entry.extras?.length ? `[${entry.extras.join(',')}]` : '';
    const marker = entry.markers ? ` ; ${entry.markers}` : '';
    if (entry.path !== undefined) {
      local = true;
      return entry.path;
    }
    if (entry.git !== undefined)
      return `${name}${extras} @ git+${entry.git}${entry.ref ? `@${entry.ref}` : ''}${marker}`;
    if (entry.file !== undefined) return `${name}${extras} @ ${entry.file}${marker}`;
    return [
      `${name}${extras}${entry.version ?? ''}${marker}`,
      ...(entry.hashes ?? []).map((hash) => `--hash=${hash}`),
    ].join(' ');
  });
  return {
    ...none,
    files: [textFile(made, `${[...urls, ...lines].join('\n')}\n`)],
    reads: local ? 'all' : [made],
    // Its list is complete: whatever else would come in was not locked.
    install: lines.length === 0 ? [] : [pip('--no-deps', '-r', made)],
  };
}
