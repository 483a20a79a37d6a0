import { findFile, type SourceTree, withoutFolder } from './source-tree.ts';
import type { BuildPhase, BuildPlan, PlanRequest } from './build-plan.ts';
import {
  choosePackageManager,
  failed,
  nodePhases,
  type Package,
  readPackage,
  type PackageManager,
} from './plan-node-install.ts';
import { argvOf, procfileWeb } from './plan-start-command.ts';
import { readHandler, registeredHandlers } from './read-handler.ts';

const framework = '@google-cloud/functions-framework';
const frameworkVersion = '5.0.5';
const frameworkFolder = '.cestx/functions-framework';

/** A Node.js source: what its package manager installs and builds, and then its start script, or one of its functions. */
export function planNode(request: PlanRequest): BuildPlan {
  const source = withoutFolder(request.source, 'node_modules');
  const manifest = readPackage(source);
  const manager = choosePackageManager(source, manifest);
  const handler = readHandler(request) ?? inferredHandler(source, manifest);
  const brings = handler !== undefined && !bringsFramework(manifest);
  return {
    language: 'node',
    source,
    notes: notes(manifest, manager),
    phases: [...(brings ? [installFramework(source)] : []), ...nodePhases(source, manifest, manager)],
    path: ['node_modules/.bin'],
    buildEnvironment: { npm_config_update_notifier: 'false', ...manager.environment, ...request.args },
    start: handler ? handlerStart(source, manifest, brings) : appStart(source, manifest),
    environment: { NODE_ENV: 'production', ...handler },
  };
}

function notes(manifest: Package, manager: PackageManager): string[] {
  const wanted = manifest.engines?.node;
  return [
    ...(manager.label === 'npm' ? [] : [`The dependencies are installed by ${manager.label}.`]),
    ...(wanted === undefined
      ? []
      : [`package.json asks for Node.js ${wanted}; builds use the one Node.js that is there.`]),
  ];
}

function bringsFramework(manifest: Package): boolean {
  return manifest.dependencies?.[framework] !== undefined;
}

/** Beside the project's own packages, so that neither its lock file nor its package manager has to know of it. */
function installFramework(source: SourceTree): BuildPhase {
  const settings = findFile(source, '.npmrc') ? ['.npmrc'] : [];
  return {
    name: 'install',
    reads: settings,
    makes: [frameworkFolder],
    commands: [
      [
        'npm',
        'install',
        `--prefix=${frameworkFolder}`,
        ...settings.map((path) => `--userconfig=${path}`),
        '--no-save',
        '--no-package-lock',
        '--no-audit',
        '--no-fund',
        `${framework}@${frameworkVersion}`,
      ],
    ],
    caches: { npm_config_cache: 'npm' },
  };
}

/** A project that has the framework and nothing else to start is a function. */
function inferredHandler(source: SourceTree, manifest: Package): Record<string, string> | undefined {
  if (!bringsFramework(manifest) || manifest.scripts?.['start'] !== undefined) return undefined;
  if (procfileWeb(source) !== undefined) return undefined;
  const pattern = /\b(?:functions|ff|framework)\.(?:http|cloudEvent)\(\s*['"`]([\w.-]+)['"`]/g;
  const names = registeredHandlers(source, /\.(?:js|mjs|cjs|ts)$/, pattern);
  if (names.length === 1 && names[0] !== undefined) return { FUNCTION_TARGET: names[0] };
  if (names.length === 0) return undefined;
  throw failed(
    `it registers several functions (${names.join(', ')}); choose one with "handler:" in function.yaml`,
  );
}

function handlerStart(source: SourceTree, manifest: Package, brings: boolean): string[] {
  const built = manifest.scripts?.['build'] !== undefined;
  if (!built && entryFile(source, manifest, ['index.js', 'function.js']) === undefined) {
    throw failed(
      'the module with the function is missing; name it as "main" in package.json, or call it index.js or function.js',
    );
  }
  return brings
    ? ['node', `${frameworkFolder}/node_modules/${framework}/build/src/main.js`]
    : ['functions-framework'];
}

function appStart(source: SourceTree, manifest: Package): string[] {
  const procfile = procfileWeb(source);
  if (procfile !== undefined) return resolveScript(procfile, manifest, 3);
  if (manifest.scripts?.['start'] !== undefined) return resolveScript('npm start', manifest, 3);
  const file = entryFile(source, manifest, ['server.js', 'index.js']);
  if (file !== undefined) return ['node', file];
  // What a build makes is not there yet.
  if (manifest.main !== undefined && manifest.scripts?.['build'] !== undefined)
    return ['node', manifest.main];
  throw failed(
    'it does not say how it starts; add a "start" script to package.json, a Procfile with a "web:" line, a server.js, or "handler:" in function.yaml',
  );
}

function entryFile(source: SourceTree, manifest: Package, names: readonly string[]): string | undefined {
  const main = manifest.main?.replace(/^\.\//, '').replace(/\/$/, '');
  const mains = main ? [main, `${main}.js`, `${main}/index.js`] : [];
  return [...mains, ...names].find((path) => findFile(source, path));
}

/** Starts what a script starts, without a package manager that would stand between SIGTERM and the program. */
function resolveScript(script: string, manifest: Package, depth: number): string[] {
  const name = /^(?:npm|pnpm|yarn) (?:run |run-script )?([\w:.-]+)$/.exec(script)?.[1];
  const inner = name === undefined ? undefined : manifest.scripts?.[name];
  if (name !== undefined && inner !== undefined && depth > 0) {
    const before = manifest.scripts?.[`pre${name}`];
    if (before !== undefined) return ['/bin/sh', '-c', `${before} && ${inner}`];
    return resolveScript(inner, manifest, depth - 1);
  }
  return argvOf(script);
}
