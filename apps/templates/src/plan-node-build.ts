import { z } from 'zod';

import { CestxError } from '#contracts';

import { findFile, type SourceTree, textOf } from './archive/source-tree.ts';

/** How a Node.js source becomes something that starts; what a builder does with it is its own affair. */
export interface NodePlan {
  /** Arguments of npm that install what the build needs. */
  install: string[];
  /** The files npm reads to install; where nothing else is needed, a code change reinstalls nothing. */
  installFiles: string[];
  installNeedsSource: boolean;
  /** Arguments of npm for after the install: the build script and the removal of what only it needed. */
  build: string[][];
  /** The program and its arguments; `node_modules/.bin` is to be first in its PATH. */
  start: string[];
}

const packageSchema = z.object({
  main: z.string().optional(),
  scripts: z.record(z.string(), z.string()).optional(),
  workspaces: z.unknown().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
  devDependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
type Package = z.output<typeof packageSchema>;

const lockFiles = ['package-lock.json', 'npm-shrinkwrap.json'];
// The platform tries a build again itself, so npm need not wait for minutes.
const patience = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
const quiet = ['--no-audit', '--no-fund'];

export function planNodeBuild(tree: SourceTree): NodePlan {
  const manifest = readPackage(tree);
  const locked = lockFiles.some((path) => findFile(tree, path));
  const builds = manifest.scripts?.['build'] !== undefined;
  return {
    install: [
      locked ? 'ci' : 'install',
      ...(builds ? ['--include=dev'] : ['--omit=dev']),
      ...quiet,
      ...patience,
    ],
    installFiles: ['package.json', ...lockFiles, '.npmrc'].filter((path) => findFile(tree, path)),
    installNeedsSource: installNeedsSource(manifest),
    build: builds
      ? [
          ['run', 'build'],
          ['prune', '--omit=dev', ...quiet],
        ]
      : [],
    start: startCommand(tree, manifest),
  };
}

function readPackage(tree: SourceTree): Package {
  const text = textOf(tree, 'package.json');
  if (text === undefined) throw failed('the node template needs a package.json at the top of the source');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw failed(
      `package.json is not valid JSON (${error instanceof Error ? error.message : String(error)})`,
    );
  }
  const result = packageSchema.safeParse(document);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw failed(
    `package.json: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it is not as npm wants it'}`,
  );
}

/** Scripts that npm runs while it installs, workspaces and local folders all read files beside package.json. */
function installNeedsSource(manifest: Package): boolean {
  const hooks = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare'];
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  return (
    hooks.some((hook) => manifest.scripts?.[hook] !== undefined) ||
    manifest.workspaces !== undefined ||
    Object.values(wanted).some((version) => /^(file:|link:|\.|\/)/.test(version))
  );
}

function startCommand(tree: SourceTree, manifest: Package): string[] {
  const procfile = /^web:\s*(.+?)\s*$/m.exec(textOf(tree, 'Procfile') ?? '')?.[1];
  // A Procfile has no other purpose than to say this, so it comes before `start`.
  if (procfile !== undefined) return resolveScript(procfile, manifest, 3);
  if (manifest.scripts?.['start'] !== undefined) return resolveScript('npm start', manifest, 3);
  const main = manifest.main?.replace(/^\.\//, '');
  const mains = main ? [main, `${main}.js`, `${main}/index.js`] : [];
  const file = [...mains, 'server.js', 'index.js'].find((path) => findFile(tree, path));
  if (file !== undefined) return ['node', file];
  throw failed(
    'it does not say how it starts; add a "start" script to package.json, a Procfile with a "web:" line, or a server.js',
  );
}

/**
 * Starts what a script starts, without npm and, where it is one plain command, without a shell in between:
 * SIGTERM then reaches the program itself.
 */
function resolveScript(script: string, manifest: Package, depth: number): string[] {
  const name = /^npm (?:run |run-script )?([\w:.-]+)$/.exec(script)?.[1];
  const inner = name === undefined ? undefined : manifest.scripts?.[name];
  if (name !== undefined && inner !== undefined && depth > 0) {
    const before = manifest.scripts?.[`pre${name}`];
    if (before !== undefined) return ['/bin/sh', '-c', `${before} && ${inner}`];
    return resolveScript(inner, manifest, depth - 1);
  }
  const plain = /^[\w@%+:,./-]+( +[\w@%+:,./=-]+)*$/.test(script);
  return plain ? script.split(/ +/) : ['/bin/sh', '-c', script];
}

function failed(why: string): CestxError {
  return new CestxError('build-failed', `The source cannot be built: ${why}.`);
}
