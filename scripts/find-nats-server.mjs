import { execFile } from 'node:child_process';
import {
  access,
  chmod,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { debianSource } from './debian-source.mjs';
import { PlainError, plainSystemError } from './say.mjs';

const run = promisify(execFile);
const ownBinary = fileURLToPath(new URL('../.tools/nats-server', import.meta.url));

/** Before this, streams could be lost (2.10.20 to 22) and `sync_interval` is ignored (2.9). */
const oldestGood = '2.10.23';
/** From here on message TTL and `persist_mode` are obeyed rather than silently ignored. */
const preferred = '2.12.0';
/** Debian suites that carry a new enough static binary, which runs on older Debian too. */
const suites = ['forky', 'sid'];

const waysOut = [
  'Install nats-server 2.12 or newer from https://github.com/nats-io/nats-server/releases and',
  '  1. name it:        NATS_SERVER_BIN=/path/to/nats-server',
  '  2. or put it into PATH, or at .tools/nats-server in this checkout,',
  '  3. or use a broker that runs already: NATS_URL=nats://host:4222 (rooms started one by one).',
].join('\n');

/**
 * The nats-server to run: NATS_SERVER_BIN, then `.tools/`, then PATH, then (with `fetch`) a download from Debian.
 * An old binary in PATH is passed over rather than refused: Debian 12's own is too old, and the next source may be better.
 */
export async function findNatsServer({
  named = process.env.NATS_SERVER_BIN,
  fetch = true,
  onProgress = () => {},
} = {}) {
  if (named) {
    const version = await versionOf(named);
    if (!version) throw new PlainError(`NATS_SERVER_BIN=${named} is not a nats-server that runs here.`);
    if (older(version, oldestGood)) {
      throw new PlainError(
        `NATS_SERVER_BIN=${named} is version ${version}; CestX needs ${oldestGood} or newer, because older ones lose acknowledged messages.`,
      );
    }
    return { path: named, version };
  }
  const passedOver = [];
  let usable;
  for (const path of [ownBinary, ...inPath('nats-server')]) {
    const version = await versionOf(path);
    if (!version) continue;
    if (older(version, oldestGood)) passedOver.push(`${path} is ${version}, older than ${oldestGood}`);
    else if (older(version, preferred)) usable ??= { path, version };
    else return { path, version };
  }
  // 2.10.23 to 2.11 does what we need, so it is not worth a download, only a lower place in the order.
  if (usable) return usable;
  const reasons = passedOver.map((reason) => `(${reason})`);
  if (fetch) {
    try {
      onProgress('Getting nats-server from Debian …');
      await fetchNatsServer(ownBinary);
      const version = await versionOf(ownBinary);
      if (version) {
        onProgress(`nats-server ${version} is in ${ownBinary}`);
        return { path: ownBinary, version };
      }
      reasons.push('(the one from Debian does not run on this machine)');
    } catch (error) {
      reasons.push(`(could not be fetched from Debian: ${plainSystemError(error) ?? error.message})`);
    }
  }
  throw new PlainError(`there is no usable nats-server on this machine ${reasons.join(' ')}\n${waysOut}`);
}

/**
 * Downloads the package with an apt configuration of its own: lists, cache and state lie in a temporary folder, so the
 * system's are not touched and no root is needed. Signatures are checked against the keys the system's own source names.
 */
async function fetchNatsServer(target) {
  if (process.platform !== 'linux') throw new PlainError('only on Debian and its like');
  await run('apt-get', ['--version']).catch(() => {
    throw new PlainError('apt-get is not on this machine');
  });
  const source = await debianSource();
  const root = await mkdtemp(join(tmpdir(), 'cestx-apt-'));
  try {
    // apt's download helpers run as user _apt when we are root, and must be able to enter.
    await chmod(root, 0o755);
    let reason = 'no suite has it';
    for (const suite of suites) {
      try {
        const deb = await downloadFrom(suite, source, root);
        await run('dpkg-deb', ['-x', deb, join(root, 'unpacked')]);
        await putInPlace(
          join(root, 'unpacked/usr/sbin/nats-server'),
          join(root, 'unpacked/usr/bin/nats-server'),
          target,
        );
        return;
      } catch (error) {
        if (plainSystemError(error)) throw error;
        reason = aptReason(error);
      }
    }
    throw new PlainError(reason);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function downloadFrom(suite, source, root) {
  const dir = join(root, suite);
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'download', 'parts']) {
    await mkdir(join(dir, part), { recursive: true, mode: 0o755 });
  }
  const signedBy = source.signedBy ? `[signed-by=${source.signedBy}] ` : '';
  await writeFile(join(dir, 'sources.list'), `deb ${signedBy}${source.uri} ${suite} main\n`);
  await writeFile(join(dir, 'status'), '');
  const options = {
    'Dir::Etc::SourceList': join(dir, 'sources.list'),
    'Dir::Etc::SourceParts': join(dir, 'parts'),
    'Dir::Etc::Preferences': join(dir, 'parts/none'),
    'Dir::Etc::PreferencesParts': join(dir, 'parts'),
    'Dir::State': join(dir, 'state'),
    'Dir::State::Status': join(dir, 'status'),
    'Dir::Cache': join(dir, 'cache'),
    // A mirror of a suite in development may lag behind the few days its index is valid for; the signature is still checked.
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '30',
    // The system's hooks belong to its own lists, not to these.
    'APT::Sandbox::User': 'root',
  };
  const config = Object.entries(options).map(([key, value]) => `${key} "${value}";`);
  config.push(
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear Acquire::IndexTargets::deb::DEP-11;',
  );
  await writeFile(join(dir, 'apt.conf'), `${config.join('\n')}\n`);
  const settings = {
    cwd: join(dir, 'download'),
    env: { ...process.env, APT_CONFIG: join(dir, 'apt.conf'), LC_ALL: 'C' },
    timeout: 180_000,
  };
  await run('apt-get', ['-q', '-o', 'APT::Update::Error-Mode=any', 'update'], settings);
  await run('apt-get', ['-q', 'download', 'nats-server'], settings);
  const [deb] = (await readdir(join(dir, 'download'))).filter((name) => name.endsWith('.deb'));
  if (!deb) throw new PlainError(`${suite} has no nats-server for this processor`);
  return join(dir, 'download', deb);
}

/** Renamed into place, so that a second bootstrap at the same time never sees half a binary. */
async function putInPlace(first, second, target) {
  const from = (await exists(first)) ? first : second;
  await mkdir(join(target, '..'), { recursive: true });
  const half = `${target}.${process.pid}`;
  try {
    await copyFile(from, half);
    await chmod(half, 0o755);
    await rename(half, target);
  } finally {
    await rm(half, { force: true });
  }
}

function aptReason(error) {
  const text = String(error.stderr ?? '');
  if (
    /Could not resolve|Temporary failure|Could not connect|Connection timed out|Network is unreachable/i.test(
      text,
    ) ||
    error.killed
  ) {
    return 'the network or the Debian mirror cannot be reached';
  }
  return (
    text
      .split('\n')
      .find((line) => /^[EW]:/.test(line))
      ?.slice(3) ?? error.message.split('\n')[0]
  );
}

async function versionOf(path) {
  if (!(await exists(path))) return undefined;
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

async function exists(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function inPath(name) {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin'];
  return [...new Set(dirs.filter(Boolean).map((dir) => join(dir, name)))];
}

function older(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i += 1) if (a[i] !== b[i]) return a[i] < b[i];
  return false;
}
