import { builtInTemplates, CestxError, type Template } from '#contracts';

import type { TemplateRow } from './template.entity.ts';

/** A template from its versions, the newest first: what it declares is what builds use, where there is such a version. */
export function describeTemplate(
  versions: readonly TemplateRow[],
  users: ReadonlyMap<string, string[]>,
): Template {
  const [newest] = versions;
  if (!newest) throw new CestxError('internal', 'A template without a version.');
  const ready = versions.find(({ state }) => state === 'ready') ?? null;
  const { project, name, version, state, error, changedAt } = newest;
  return {
    ...(ready ?? newest).definition,
    project,
    builtIn: false,
    version: ready?.version ?? null,
    check: { version, state: state === 'replaced' ? 'ready' : state, error, at: changedAt.toISOString() },
    usedBy: users.get(name) ?? [],
  };
}

const descriptions: Record<(typeof builtInTemplates)[number], [string, string[]]> = {
  node: ['Node.js from package.json and its lock file', ['package.json']],
  python: [
    'Python from requirements.txt, pyproject.toml or a lock file',
    [
      'requirements.txt',
      'pyproject.toml',
      'uv.lock',
      'Pipfile.lock',
      'Pipfile',
      'manage.py',
      'main.py',
      'app.py',
    ],
  ],
  go: ['Go from go.mod', ['go.mod']],
  dockerfile: ['Whatever its Dockerfile builds', ['Dockerfile']],
  image: ['An image from a registry, named by "image:"', []],
};

/** The templates that are always there, as every project sees them. */
export function describeBuiltIns(project: string, users: ReadonlyMap<string, string[]>): Template[] {
  return builtInTemplates.map((name) => ({
    name,
    description: descriptions[name][0],
    args: {},
    detect: descriptions[name][1],
    health: {},
    project,
    builtIn: true,
    version: null,
    check: null,
    usedBy: users.get(name) ?? [],
  }));
}
