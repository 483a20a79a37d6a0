// npm run images: makes the base image `cestx/node:24` from Debian packages, for machines that reach no container registry.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { debianSource } from './debian-source.mjs';
import { ensureNode } from './ensure-node.mjs';
import { fail, PlainError, say } from './say.mjs';

const run = promisify(execFile);
const image = 'cestx/node:24';
const npmVersion = '11.21.2';
const suite = 'bookworm';

/** Part of the label, so that a change of this recipe makes the image anew. */
const recipe = '1';

export async function makeImages({ force = false } = {}) {
  await needs(
    'docker',
    ['version', '--format', '{{.Server.Version}}'],
    'no Docker engine answers (scripts/start-docker.sh starts one)',
  );
  const node = await ensureNode();
  const labels = {
    'dev.cestx.recipe': recipe,
    'dev.cestx.debian': suite,
    'dev.cestx.node': node.version,
    'dev.cestx.npm': npmVersion,
  };
  if (!force && (await isMade(labels))) {
    say(`image ${image} is there already`);
    return;
  }
  await needs('mmdebstrap', ['--version'], 'mmdebstrap is missing: apt-get install mmdebstrap');
  if (process.getuid() !== 0) throw new PlainError('making a base image from Debian packages needs root');
  say(`Making image ${image} from Debian ${suite}, Node ${node.version} and npm ${npmVersion} …`);
  const started = Date.now();
  const work = await mkdtemp(join(tmpdir(), 'cestx-image-'));
  try {
    const files = await nodeAndNpm(work, node.path);
    await buildImage(work, files, labels, node.version);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  say(`image ${image} is made (${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

async function isMade(labels) {
  try {
    const { stdout } = await run('docker', [
      'image',
      'inspect',
      '--format',
      '{{json .Config.Labels}}',
      image,
    ]);
    const present = JSON.parse(stdout) ?? {};
    return Object.entries(labels).every(([key, value]) => present[key] === value);
  } catch {
    return false;
  }
}

/** What comes from npm rather than from Debian, laid out as it will lie in the image. npm checks what it downloads. */
async function nodeAndNpm(work, nodePath) {
  const root = join(work, 'files');
  const bin = join(root, 'usr/local/bin');
  const modules = join(root, 'usr/local/lib/node_modules');
  await mkdir(bin, { recursive: true });
  await mkdir(modules, { recursive: true });
  await copyFile(nodePath, join(bin, 'node'));
  await chmod(join(bin, 'node'), 0o755);
  const { stdout } = await run('npm', ['pack', '--silent', `npm@${npmVersion}`], { cwd: work }).catch(
    (error) => {
      throw new PlainError(
        `npm ${npmVersion} could not be fetched: ${String(error.stderr).trim().split('\n')[0]}`,
      );
    },
  );
  await mkdir(join(modules, 'npm'));
  const archive = join(work, stdout.trim().split('\n').at(-1));
  await run('tar', ['-xzf', archive, '-C', join(modules, 'npm'), '--strip-components=1', '--no-same-owner']);
  for (const name of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
    await chmod(join(modules, `npm/bin/${name}-cli.js`), 0o755);
  }
  return root;
}

async function buildImage(work, files, labels, nodeVersion) {
  const { uri } = await debianSource().catch(() => ({ uri: 'http://deb.debian.org/debian' }));
  const debian = spawn(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--include=ca-certificates,libstdc++6',
      '--quiet',
      '--aptopt=Acquire::Retries "3"',
      `--customize-hook=sync-in ${files} /`,
      // The numbers people's own Dockerfiles know from Docker's official Node image.
      '--customize-hook=chroot "$1" groupadd --gid 1000 node',
      '--customize-hook=chroot "$1" useradd --uid 1000 --gid node --create-home --shell /bin/bash node',
      '--customize-hook=install --directory --owner=1000 --group=1000 "$1/app"',
      '--customize-hook=rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/var/lib/apt/lists/*',
      suite,
      '-',
      `deb ${uri} ${suite} main`,
    ],
    { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const changes = [
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `ENV NODE_VERSION=${nodeVersion}`,
    'WORKDIR /app',
    'USER node',
    'CMD ["node"]',
    ...Object.entries(labels).map(([key, value]) => `LABEL ${key}=${value}`),
  ];
  const imported = spawn(
    'docker',
    ['import', ...changes.flatMap((change) => ['--change', change]), '-', image],
    {
      stdio: [debian.stdout, 'ignore', 'pipe'],
    },
  );
  debian.stdout.destroy();
  await Promise.all([finished(debian, 'mmdebstrap'), finished(imported, 'docker import')]);
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
  makeImages({ force: process.argv.includes('--force') }).catch(fail);
}
