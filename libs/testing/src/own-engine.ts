import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { eventually } from './eventually.ts';
import { inCi, succeeds } from './what-is-here.ts';

/** A Docker engine beside the one of this machine, that a test may kill. */
export interface OwnEngine {
  /** As `DOCKER_HOST` writes it. */
  readonly host: string;
  /** Makes an image that runs this JavaScript with Node; its id. */
  image(program: string): Promise<string>;
  /** SIGKILL, as a crash would be; its containers go on. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and takes away all it had. */
  close(): Promise<void>;
}

const run = promisify(execFile);
const script = join(import.meta.dirname, '../../../scripts/start-docker.sh');

/** For `describe.skipIf(!ownEnginePossible())`; in CI it is never false. */
export function ownEnginePossible(): boolean {
  return (
    inCi() ||
    (process.getuid?.() === 0 && ['dockerd', 'docker', 'ip'].every((program) => succeeds('which', [program])))
  );
}

/**
 * Starts it with folders, a containerd and a bridge of its own. What it is not told matters for the engine beside it: with
 * `--bridge=none`, and at a restart with `--default-address-pool`, an engine removes `docker0`, whoever made that; and with
 * iptables it would take away the other's rules.
 */
export async function startOwnEngine(): Promise<OwnEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-engine-'));
  const host = `unix://${folder}/docker.sock`;
  const net = `10.${200 + Math.floor(Math.random() * 50)}`;
  const bridge = `cx-${folder.slice(-6)}`;
  const env = { ...process.env, DOCKER_HOST: host, CESTX_DOCKERD_STATE: join(folder, 'state') };
  const words =
    `--data-root ${folder}/data --exec-root ${folder}/exec --bridge ${bridge} --iptables=false --ip-masq=false ` +
    `--icc=true --ip-forward=false --shutdown-timeout=2`;
  await run('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${net}.255.1/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);

  const pidIn = async (file: string): Promise<number> =>
    Number(await readFile(join(folder, file), 'utf8').catch(() => 0));
  const isOver = async (file: string): Promise<boolean> => {
    const pid = await pidIn(file);
    return pid === 0 || !existsSync(`/proc/${pid}`);
  };
  const engine: OwnEngine = {
    host,
    async image(program) {
      const { stdout } = await run('bash', ['-c', importNode, 'bash', process.execPath, program], { env });
      return stdout.trim();
    },
    async kill() {
      process.kill(await pidIn('state/dockerd.pid'), 'SIGKILL');
      // Its containerd dies with it. The next engine does not start while the number of one of them is still taken.
      for (const file of ['state/dockerd.pid', 'exec/containerd/containerd.pid'])
        await eventually(() => isOver(file), { timeoutMs: 20_000 });
    },
    async start() {
      await run('bash', [script, ...words.split(' ')], { env });
    },
    async close() {
      // Bridges of an engine stay when it ends, so its networks are taken away before.
      await run('bash', ['-c', 'docker ps -aq | xargs -r docker rm -f; docker network prune -f'], { env });
      await run('bash', [script, '--stop'], { env });
      await run('ip', ['link', 'delete', bridge]);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await engine.start().catch(async (error: unknown) => {
    await engine.close();
    throw error;
  });
  return engine;
}

/** Node and the libraries it needs are a whole image: nothing has to be pulled, or copied from another engine. */
const importNode = `
set -euo pipefail
tar --create --dereference --absolute-names --transform "s,^$1$,/usr/bin/node," "$1" $(ldd "$1" | grep -o '/[^ ]*') |
  docker import --change "CMD $("$1" -p 'JSON.stringify(["node", "-e", process.argv[1]])' "$2")" -
`;
