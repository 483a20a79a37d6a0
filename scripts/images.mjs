// npm run images [-- node python go run] [--force]: makes the base images `cestx/<name>` from Debian packages, for machines
// that reach no container registry.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { debianSource } from './debian-source.mjs';
import { ensureNode } from './ensure-node.mjs';
import { recipes, release } from './image-recipes.mjs';
import { fail, PlainError, say } from './say.mjs';

const run = promisify(execFile);
const npmVersion = '11.21.2';
const publicMirror = 'http://deb.debian.org/debian';
const labels = { recipe: 'cestx.recipe', versions: 'cestx.versions' };
/** Mostly unpacking, which two can share a machine for; with more the disk is what they wait for. */
const atOnce = 2;

/** Makes those that are missing or were made by another recipe; `names` is a choice among the recipes, all of them by default. */
export async function makeImages({ names = Object.keys(recipes), force = false } = {}) {
  const unknown = names.find((name) => !Object.hasOwn(recipes, name));
  if (unknown !== undefined) {
    throw new PlainError(`there is no base image "${unknown}"; there are ${Object.keys(recipes).join(', ')}`);
  }
  await needs(
    'docker',
    ['version', '--format', '{{.Server.Version}}'],
    'no Docker engine answers (scripts/start-docker.sh starts one)',
  );
  const node = await ensureNode();
  const missing = [];
  for (const name of new Set(names)) {
    const recipe = { name, ...recipes[name] };
    const digest = digestOf(recipe, node);
    const present = force ? undefined : await versionsOf(recipe.tag, digest);
    if (present === undefined) missing.push({ recipe, digest });
    else say(`image ${recipe.tag} is there already (${present})`);
  }
  if (missing.length === 0) return;
  await needs('mmdebstrap', ['--version'], 'mmdebstrap is missing: apt-get install mmdebstrap');
  if (process.getuid() !== 0) throw new PlainError('making a base image from Debian packages needs root');
  const work = await mkdtemp(join(tmpdir(), 'cestx-images-'));
  try {
    const makeNext = async () => {
      for (let next = missing.shift(); next; next = missing.shift()) await makeImage(work, next, node);
    };
    const made = await Promise.allSettled(Array.from({ length: atOnce }, makeNext));
    const failed = made.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** So that a change of a recipe, or of what it takes from here, makes the image anew. */
function digestOf(recipe, node) {
  const own = recipe.npm ? { node: node.version, npm: npmVersion } : {};
  return createHash('sha256')
    .update(JSON.stringify({ recipe, release, ...own }))
    .digest('hex')
    .slice(0, 16);
}

/** What the image says is in it; undefined when there is none, or one that another recipe made. */
async function versionsOf(tag, digest) {
  const asked = run('docker', ['image', 'inspect', '--format', '{{json .Config.Labels}}', tag]);
  const present = await asked.then(
    ({ stdout }) => JSON.parse(stdout) ?? {},
    () => ({}),
  );
  return present[labels.recipe] === digest ? (present[labels.versions] ?? '') : undefined;
}

async function makeImage(work, { recipe, digest }, node) {
  say(`Making image ${recipe.tag} from Debian ${release} …`);
  const started = Date.now();
  const root = join(work, recipe.name);
  const files = join(root, 'files');
  await mkdir(files, { recursive: true });
  const versions = recipe.npm ? await putNodeAndNpm(root, files, node) : {};
  const tar = join(root, 'image.tar');
  await bootstrapDebian(recipe, { root, files, tar });
  const installed = await readVersions(join(root, 'packages'));
  for (const [name, of] of Object.entries({ debian: /^base-files$/, ...recipe.versions })) {
    // Without what Debian counts of its own: 3.13.5-1 is 3.13.5.
    const [, version] = installed.find(([installedName]) => of.test(installedName)) ?? [];
    versions[name] = /^(?:\d+:)?([^~+-]*)/.exec(version ?? '')[1];
  }
  const told = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  await importImage(recipe, tar, { [labels.recipe]: digest, [labels.versions]: told });
  await rm(root, { recursive: true, force: true });
  say(`image ${recipe.tag} is made: ${told} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

/** What comes from npm, laid out as it will lie in the image. npm checks what it downloads. */
async function putNodeAndNpm(root, files, node) {
  const bin = join(files, 'usr/local/bin');
  const modules = join(files, 'usr/local/lib/node_modules');
  await mkdir(bin, { recursive: true });
  await mkdir(join(modules, 'npm'), { recursive: true });
  await copyFile(node.path, join(bin, 'node'));
  await chmod(join(bin, 'node'), 0o755);
  const packed = run('npm', ['pack', '--silent', `npm@${npmVersion}`], { cwd: root });
  const { stdout } = await packed.catch((error) => {
    throw new PlainError(
      `npm ${npmVersion} could not be fetched: ${String(error.stderr).trim().split('\n')[0]}`,
    );
  });
  const archive = join(root, stdout.trim().split('\n').at(-1));
  await run('tar', ['-xzf', archive, '-C', join(modules, 'npm'), '--strip-components=1', '--no-same-owner']);
  for (const name of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
    await chmod(join(modules, `npm/bin/${name}-cli.js`), 0o755);
  }
  return { node: node.version, npm: npmVersion };
}

async function bootstrapDebian(recipe, { root, files, tar }) {
  const { uri } = await debianSource().catch(() => ({ uri: publicMirror }));
  const pin = join(root, 'newer.pref');
  const newer = recipe.newer ?? [];
  await writeFile(
    pin,
    `Package: ${newer.join(' ')}\nPin: release n=${release}-backports\nPin-Priority: 990\n`,
  );
  const docs = ['doc', 'man', 'info', 'locale'].map((name) => `/usr/share/${name}/*`);
  const remains = [
    ...docs,
    '/var/lib/apt/lists/*',
    '/var/cache/apt/*.bin',
    '/var/cache/debconf/*-old',
    '/var/log/*',
  ];
  const slim = [...remains, ...(recipe.slim ?? [])].map((path) => `"$1"${path}`).join(' ');
  const before = newer.length > 0 ? [`install -m 644 ${pin} "$1/etc/apt/preferences.d/newer.pref"`] : [];
  const after = [
    `sync-in ${files} /`,
    'echo nonroot:x:65532:65532::/tmp:/bin/sh >> "$1/etc/passwd"',
    'echo nonroot:x:65532: >> "$1/etc/group"',
    ...(recipe.hooks ?? []),
    `install --directory --owner=${recipe.owner.split(':')[0]} --group=${recipe.owner.split(':')[1]} "$1/app"`,
    `chroot "$1" dpkg-query --show --showformat '\${Package} \${Version}\\n' > ${root}/packages`,
    `rm -rf ${slim}`,
  ];
  const child = spawn(
    'mmdebstrap',
    [
      `--variant=${recipe.variant ?? 'minbase'}`,
      `--include=${recipe.include.join(',')}`,
      '--quiet',
      ...(recipe.skip ?? []).map((stage) => `--skip=${stage}`),
      '--aptopt=Acquire::Retries "3"',
      // A half-made image is thrown away, so nothing has to reach the disk at once.
      '--dpkgopt=force-unsafe-io',
      ...before.map((hook) => `--setup-hook=${hook}`),
      ...after.map((hook) => `--customize-hook=${hook}`),
      release,
      tar,
      `deb ${uri} ${release} main`,
      `deb ${uri} ${release}-updates main`,
      ...(newer.length > 0 ? [`deb ${uri} ${release}-backports main`] : []),
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await finished(child, 'mmdebstrap');
}

async function readVersions(path) {
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  return lines.map((line) => line.split(' '));
}

async function importImage(recipe, tar, marks) {
  const environment = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/tmp',
    LANG: 'C.UTF-8',
    ...recipe.environment,
  };
  const changes = [
    ...Object.entries(environment).map(([key, value]) => `ENV ${key}=${value}`),
    'WORKDIR /app',
    `USER ${recipe.user}`,
    `CMD ${JSON.stringify(recipe.command)}`,
    ...Object.entries(marks).map(([key, value]) => `LABEL ${key}="${value}"`),
  ];
  const words = changes.flatMap((change) => ['--change', change]);
  await finished(
    spawn('docker', ['import', ...words, tar, recipe.tag], { stdio: ['ignore', 'ignore', 'pipe'] }),
    'docker import',
  );
}

async function finished(child, name) {
  let words = '';
  child.stderr.on('data', (chunk) => {
    words = (words + chunk).slice(-4000);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new PlainError(`${name} failed: ${words.trim()}`);
}

async function needs(command, args, otherwise) {
  await run(command, args).catch(() => {
    throw new PlainError(otherwise);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const words = process.argv.slice(2);
  const names = words.filter((word) => !word.startsWith('--'));
  makeImages({
    names: names.length > 0 ? names : undefined,
    force: words.includes('--force'),
  }).catch(fail);
}
