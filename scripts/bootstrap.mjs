// Makes a fresh checkout run: Node 24, packages, nats-server, build. Plain JavaScript without dependencies, for Node 20 and up.
//   node scripts/bootstrap.mjs [<entry in dist> [arguments…]]
import { execFile, spawn, spawnSync } from 'node:child_process';
import { constants as files } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ensureNode, needSpace, npm } from './ensure-node.mjs';
import { findNatsServer } from './find-nats-server.mjs';
import { fail, PlainError, plainSystemError, say } from './say.mjs';

const run = promisify(execFile);
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Everything that is needed before anything of ours can run; answers the Node to run it with. */
export async function bootstrap({ server = true } = {}) {
  const node = await ensureNode();
  await ensurePackages(node.path);
  if (server && !process.env.NATS_URL) {
    needSetpriv();
    await findNatsServer({ onProgress: say });
  }
  await build(node.path);
  return node.path;
}

async function ensurePackages(node) {
  if (await packagesFit()) return;
  await mustBeWritable();
  await needSpace(root, 1000);
  say('Installing packages (npm ci) …');
  const started = Date.now();
  // No package of ours needs its install script, so nobody else's code runs here before it is asked to.
  await npm(['ci', '--ignore-scripts'], { node, cwd: root });
  say(`packages are installed (${seconds(started)} s)`);
}

/**
 * Compares the lockfile with npm's own record of what it installed, which it writes last: an install that was killed or a
 * lockfile that changed shows, and nothing of ours has to be kept in step.
 */
async function packagesFit() {
  const [wanted, present] = await Promise.all([
    readPackages(join(root, 'package-lock.json')),
    readPackages(join(root, 'node_modules/.package-lock.json')),
  ]);
  if (!wanted) throw new PlainError('package-lock.json is missing: this is not a whole checkout of CestX.');
  if (!present) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link) return true;
    // Packages for other processors and systems are not installed, and rightly so.
    if (!present[path]) return entry.optional === true || entry.devOptional === true;
    return present[path].version === entry.version && present[path].integrity === entry.integrity;
  });
}

async function readPackages(path) {
  try {
    return JSON.parse(await readFile(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

async function build(node) {
  const built = await isThere(join(root, 'dist/.tsbuildinfo'));
  // An installation somebody else owns is run as it was built.
  if (built && !(await writable(root))) return;
  await mustBeWritable();
  if (!built) say('Building …');
  try {
    await run(node, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')]);
  } catch (error) {
    throw new PlainError(`the build failed:\n${error.stdout || error.stderr || error.message}`);
  }
}

async function mustBeWritable() {
  if (!(await writable(root))) throw new PlainError(plainSystemError({ code: 'EROFS', path: root }));
}

function writable(path) {
  return isThere(path, files.W_OK);
}

function isThere(path, mode = files.F_OK) {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function needSetpriv() {
  if (process.platform !== 'linux') {
    throw new PlainError(
      'the all-in-one platform with its own NATS and PostgreSQL runs on Linux; elsewhere, give the rooms NATS_URL and DATABASE_URL.',
    );
  }
  if (spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).error) {
    throw new PlainError(
      'the program setpriv is missing, without which a killed CestX would leave its servers behind. It is part of util-linux: apt-get install util-linux',
    );
  }
}

/** Runs a built program in our place: same terminal, same signals, its exit code ours. */
export function runInstead(node, args) {
  if (process.execPath === node && typeof process.execve === 'function') {
    // Node calls this experimental; without it, a whole second Node would wait in memory for the first to end.
    process.removeAllListeners('warning');
    process.execve(node, [node, ...args], process.env);
  }
  // In a group of its own, or Ctrl-C would reach it twice: from the terminal and from us. If we are killed, it is told.
  const hasSetpriv = !spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).error;
  const [command, ...rest] = hasSetpriv
    ? ['setpriv', '--pdeathsig=TERM', '--', node, ...args]
    : [node, ...args];
  const child = spawn(command, rest, { stdio: 'inherit', detached: true });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'])
    process.on(signal, () => child.kill(signal));
  child.once('error', fail);
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function seconds(since) {
  return ((Date.now() - since) / 1000).toFixed(0);
}

async function main([entry, ...args]) {
  const node = await bootstrap();
  if (!entry) return;
  const telemetry = pathToFileURL(join(root, 'dist/libs/boot/src/telemetry.js')).href;
  runInstead(node, ['--enable-source-maps', '--import', telemetry, join(root, entry), ...args]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2)).catch(fail);
