import { z } from 'zod';

import { CestxError } from '#contracts';

import type { BuildPhase } from './build-plan.ts';
import { findFile, type SourceTree, textOf } from './source-tree.ts';

const packageSchema = z.object({
  name: z.string().optional(),
  main: z.string().optional(),
  packageManager: z.string().optional(),
  engines: z.object({ node: z.string().optional() }).optional().catch(undefined),
  scripts: z.record(z.string(), z.string()).optional(),
  workspaces: z.unknown().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
  devDependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
export type Package = z.output<typeof packageSchema>;

/** The commands of one package manager in one of its versions. */
export interface PackageManager {
  /** Its name and version, or nothing to say of the npm that is there. */
  readonly label: string;
  /** Files it reads beside package.json. */
  readonly files: readonly string[];
  install(withDev: boolean): string[];
  run(script: string): string[];
  /** Removes what only the build needed. */
  prune(): string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly caches: Readonly<Record<string, string>>;
}

const npmLocks = ['package-lock.json', 'npm-shrinkwrap.json'];
// The platform tries a build again itself, so npm need not wait for minutes.
const patience = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
const quiet = ['--no-audit', '--no-fund'];

export function readPackage(source: SourceTree): Package {
  const text = textOf(source, 'package.json');
  if (text === undefined) throw failed('the node template needs a package.json at the top of the source');
  let document: unknown;
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''));
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

/** The package manager that wrote the lock file, or that `packageManager` names. */
export function choosePackageManager(source: SourceTree, manifest: Package): PackageManager {
  const named = /^(npm|pnpm|yarn)@(\d+\.\d+\.\d+[\w.-]*)/.exec(manifest.packageManager ?? '');
  const locks = {
    npm: npmLocks.some((path) => findFile(source, path)),
    pnpm: findFile(source, 'pnpm-lock.yaml') !== undefined,
    yarn: findFile(source, 'yarn.lock') !== undefined,
  };
  const name = named?.[1] ?? (locks.npm ? 'npm' : locks.pnpm ? 'pnpm' : locks.yarn ? 'yarn' : 'npm');
  const version = named?.[2];
  if (name === 'pnpm') return pnpm(version ?? pnpmFor(textOf(source, 'pnpm-lock.yaml')), locks.pnpm);
  if (name === 'yarn') {
    const chosen = version ?? yarnFor(textOf(source, 'yarn.lock'));
    return chosen.startsWith('1.') ? classicYarn(chosen, locks.yarn) : yarn(chosen, locks.yarn);
  }
  return npm(locks.npm);
}

/** The newest release that reads a lock file of this format without rewriting it. */
function pnpmFor(lock: string | undefined): string {
  const format = /^lockfileVersion: *['"]?(\d+)/m.exec(lock ?? '')?.[1];
  if (format === '5') return '7.33.7';
  if (format === '6') return '8.15.9';
  return '10.34.9';
}

function yarnFor(lock: string | undefined): string {
  if (lock === undefined || lock.includes('# yarn lockfile v1')) return '1.22.22';
  return Number(/^__metadata:\s+version: (\d+)/m.exec(lock)?.[1] ?? 8) >= 8 ? '4.18.1' : '3.8.7';
}

function npm(locked: boolean): PackageManager {
  return {
    label: 'npm',
    files: [...npmLocks, '.npmrc'],
    install: (withDev) => [
      'npm',
      locked ? 'ci' : 'install',
      withDev ? '--include=dev' : '--omit=dev',
      ...quiet,
      ...patience,
    ],
    run: (script) => ['npm', 'run', script],
    prune: () => ['npm', 'prune', '--omit=dev', ...quiet],
    environment: {},
    caches: { npm_config_cache: 'npm' },
  };
}

/** Another package manager comes from npm's own registry, into npm's cache: nothing needs to be installed beforehand. */
function fetched(packageName: string, version: string, program: string): string[] {
  return ['npm', 'exec', '--yes', `--package=${packageName}@${version}`, '--', program];
}

function pnpm(version: string, locked: boolean): PackageManager {
  const program = ['env', 'CI=true', ...fetched('pnpm', version, 'pnpm')];
  return {
    label: `pnpm ${version}`,
    files: ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc', '.pnpmfile.cjs'],
    install: (withDev) => [
      ...program,
      'install',
      locked ? '--frozen-lockfile' : '--no-frozen-lockfile',
      ...(withDev ? [] : ['--prod']),
      // Hard links would let one function change the files of another.
      '--package-import-method=copy',
    ],
    run: (script) => [...fetched('pnpm', version, 'pnpm'), 'run', script],
    prune: () => [...program, 'prune', '--prod', '--ignore-scripts'],
    environment: { npm_config_manage_package_manager_versions: 'false' },
    caches: { npm_config_cache: 'npm', npm_config_store_dir: 'pnpm', XDG_CACHE_HOME: 'pnpm-cache' },
  };
}

function classicYarn(version: string, locked: boolean): PackageManager {
  const program = fetched('yarn', version, 'yarn');
  const install = (production: string) => [
    ...program,
    'install',
    ...(locked ? ['--frozen-lockfile'] : ['--no-lockfile']),
    '--non-interactive',
    production,
  ];
  return {
    label: `yarn ${version}`,
    files: ['yarn.lock', '.yarnrc', '.npmrc'],
    install: (withDev) => install(`--production=${!withDev}`),
    run: (script) => [...program, 'run', script],
    prune: () => [...install('--production=true'), '--ignore-scripts', '--prefer-offline'],
    environment: {},
    caches: { npm_config_cache: 'npm', YARN_CACHE_FOLDER: 'yarn' },
  };
}

function yarn(version: string, locked: boolean): PackageManager {
  const program = fetched('@yarnpkg/cli-dist', version, 'yarn');
  return {
    label: `yarn ${version}`,
    files: ['yarn.lock', '.yarnrc.yml', '.npmrc'],
    // It has no install without the packages of the build; from version 4 on it can remove them afterwards.
    install: () => [...program, 'install', locked ? '--immutable' : '--no-immutable'],
    run: (script) => [...program, 'run', script],
    prune: () =>
      version.startsWith('4.') ? [...program, 'workspaces', 'focus', '--all', '--production'] : [],
    environment: {
      // Programs start with plain Node.js, which finds packages in node_modules only.
      YARN_NODE_LINKER: 'node-modules',
      YARN_ENABLE_GLOBAL_CACHE: 'true',
      YARN_ENABLE_TELEMETRY: 'false',
    },
    caches: { npm_config_cache: 'npm', YARN_GLOBAL_FOLDER: 'yarn-global' },
  };
}

/** The install, and, where there is a build script, the build and the removal of what only it needed. */
export function nodePhases(source: SourceTree, manifest: Package, manager: PackageManager): BuildPhase[] {
  const builds = manifest.scripts?.['build'] !== undefined;
  const { caches } = manager;
  const install: BuildPhase = {
    name: 'install',
    reads: readsAll(source, manifest)
      ? 'all'
      : ['package.json', ...manager.files].filter((path) => findFile(source, path)),
    makes: readsAll(source, manifest) ? 'all' : ['node_modules'],
    commands: [manager.install(builds)],
    caches,
  };
  if (!builds) return [install];
  const prune = manager.prune();
  return [
    install,
    { name: 'build', reads: 'all', makes: 'all', commands: [manager.run('build')], caches },
    ...(prune.length > 0
      ? [{ name: 'prune', reads: 'all', makes: 'all', commands: [prune], caches } as const]
      : []),
  ];
}

/** Scripts that run during an install, workspaces, patches and local folders all read files beside package.json. */
function readsAll(source: SourceTree, manifest: Package): boolean {
  const hooks = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare'];
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  return (
    hooks.some((hook) => manifest.scripts?.[hook] !== undefined) ||
    manifest.workspaces !== undefined ||
    /^packages:|^patchedDependencies:/m.test(textOf(source, 'pnpm-workspace.yaml') ?? '') ||
    source.files.some((file) => /^(\.yarn|patches)\//.test(file.path)) ||
    Object.values(wanted).some((version) => /^(file:|link:|portal:|workspace:|patch:|\.|\/)/.test(version))
  );
}

export function failed(why: string): CestxError {
  return new CestxError('build-failed', `The source cannot be built: ${why}.`);
}
