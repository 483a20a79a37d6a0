import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PlainError, plainSystemError, say } from './say.mjs';

const run = promisify(execFile);
const tools = fileURLToPath(new URL('../.tools', import.meta.url));
const installed = join(tools, 'node/bin/node');

/** OpenTelemetry, vitest and undici need at least 22.19; 24 is the line this is tested with. */
const oldestGood = [24, 15];
/** The npm package that *is* the binary: no install script, checked by npm against the registry's integrity hash. */
const wanted = '24.21.0';
const neededMegabytes = 600;

/** A Node that is new enough: the one that runs this, else the one in `.tools/`, else fetched from npm into there. */
export async function ensureNode() {
  if (newEnough(process.versions.node)) return { path: process.execPath, version: process.versions.node };
  const present = await versionOf(installed);
  if (present && newEnough(present)) return { path: installed, version: present };
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new PlainError(
      `Node ${process.versions.node} is too old: CestX needs ${oldestGood.join('.')} or newer. Install it from https://nodejs.org`,
    );
  }
  say(
    `Node ${process.versions.node} is older than ${oldestGood.join('.')}: getting Node ${wanted} into .tools/ (this checkout only) …`,
  );
  await install(`node-linux-${process.arch}`);
  const version = await versionOf(installed);
  if (!version)
    throw new PlainError(
      'the Node from npm does not run on this machine; install Node 24 from https://nodejs.org',
    );
  return { path: installed, version };
}

async function install(packageName) {
  await mkdir(tools, { recursive: true });
  await needSpace(tools, neededMegabytes);
  const work = await mkdtemp(join(tools, 'node-'));
  try {
    await npm([
      'install',
      '--prefix',
      work,
      '--no-save',
      '--ignore-scripts',
      '--no-package-lock',
      `${packageName}@${wanted}`,
    ]);
    await rm(join(tools, 'node'), { recursive: true, force: true });
    await rename(join(work, 'node_modules', packageName), join(tools, 'node')).catch((error) => {
      // A second bootstrap at the same time was quicker, with the same content.
      if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** npm's own pauses between tries add up to more than a minute before a missing network is told. */
const impatient = ['--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=4000'];

export async function needSpace(folder, megabytes) {
  const { bavail, bsize } = await statfs(folder);
  const free = Math.round((bavail * bsize) / 1e6);
  if (free < megabytes) {
    throw new PlainError(
      `not enough space on the disk of ${folder}: ${free} MB are free, ${megabytes} MB are needed.`,
    );
  }
}

/** Runs npm quietly, by the Node that is given, and turns what it says into a sentence when it fails. */
export async function npm(args, { node = process.execPath, cwd } = {}) {
  const cli = npmCli();
  const command = cli ? node : 'npm';
  const env = {
    ...process.env,
    PATH: `${join(node, '..')}:${process.env.PATH}`,
    npm_config_loglevel: 'error',
  };
  try {
    await run(
      command,
      [...(cli ? [cli] : []), ...args, '--no-audit', '--no-fund', '--no-update-notifier', ...impatient],
      {
        cwd,
        env,
        maxBuffer: 64 * 1024 * 1024,
      },
    );
  } catch (error) {
    throw new PlainError(npmReason(error, args[0]));
  }
}

/** Under `npm run` this is the npm that runs us; else it is looked for in PATH, as people do. */
function npmCli() {
  const path = process.env.npm_execpath;
  return path && basename(path) === 'npm-cli.js' ? path : undefined;
}

function npmReason(error, verb) {
  const text = `${error.stderr ?? ''}${error.stdout ?? ''}`;
  if (error.code === 'ENOENT') return 'npm is missing; it comes with Node from https://nodejs.org';
  if (/ENOSPC/.test(text)) return plainSystemError({ code: 'ENOSPC' });
  if (/EACCES|EROFS|EPERM/.test(text)) return plainSystemError({ code: 'EACCES' });
  if (/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|network/i.test(text)) {
    return 'the npm registry cannot be reached, and this first start needs it. Check the network (or the proxy and registry in your .npmrc) and start again.';
  }
  if (/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_/.test(text)) {
    return 'the certificate of the npm registry is not trusted; set NODE_EXTRA_CA_CERTS to the file of your certificate authority.';
  }
  const lines = text.split('\n').map((line) => line.replace(/^npm (error|ERR!)\s*/, ''));
  const line = lines.find((each) => each.trim() && !/^(code |npm )/.test(each)) ?? error.message;
  return `npm ${verb} failed: ${line}`;
}

async function versionOf(path) {
  try {
    return (await run(path, ['--version'])).stdout.trim().replace(/^v/, '');
  } catch {
    return undefined;
  }
}

function newEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > oldestGood[0] || (major === oldestGood[0] && minor >= oldestGood[1]);
}
