import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { packSource, type Client } from '#client';
import { baseImage, dockerMissing } from '#testing';

import { startAllInOne } from './all-in-one.ts';
import { median, report } from './report.ts';

const turns = 7;
const run = promisify(execFile);
const missing = dockerMissing();
if (missing) {
  process.stdout.write(`deploy of changed code: skipped, ${missing}\n`);
  process.exit();
}

/** What a careful person would write by hand for the same example. */
const dockerfile = `FROM ${baseImage}
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY . .
CMD ["node", "server.js"]
`;
const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
const source = join(folder, 'source');
await cp(join(import.meta.dirname, '../examples/echo-name'), source, {
  recursive: true,
  filter: (path) => !path.includes('node_modules'),
});
const server = await readFile(join(source, 'server.js'), 'utf8');
const platform = await startAllInOne(join(folder, 'data'), 'docker');
const byHand: number[] = [];
const byCestx: number[] = [];
try {
  for (let turn = 0; turn <= turns; turn++) {
    await writeFile(join(source, 'server.js'), `${server}\n// ${turn}\n`);
    const hand = await deployByHand(turn);
    const cestx = await deployByCestx(platform.client, platform.url, turn);
    // The first turn of both installs the dependencies.
    if (turn > 0) {
      byHand.push(hand);
      byCestx.push(cestx);
    }
  }
  const bound = median(byHand);
  const value = median(byCestx);
  report({
    name: 'changed code to 200',
    value,
    unit: 'ms',
    bound,
    gate: '<= 1.3 x docker build + run',
    met: value <= 1.3 * bound,
  });
} finally {
  await platform.client.removeFunction('echo-name').catch(() => undefined);
  await sleep(3000);
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
}

/** Milliseconds of `docker build` and `docker run` until the program answers. */
async function deployByHand(turn: number): Promise<number> {
  const context = join(folder, 'by-hand');
  await cp(source, context, { recursive: true });
  let recipe = dockerfile;
  const authority = process.env['CESTX_BUILD_CA_FILE'];
  if (authority) {
    await cp(authority, join(context, 'ca.crt'));
    recipe = recipe.replace('RUN npm', 'COPY ca.crt /tmp/ca.crt\nRUN NODE_EXTRA_CA_CERTS=/tmp/ca.crt npm');
  }
  await writeFile(join(context, 'Dockerfile'), recipe);
  const started = performance.now();
  await run('docker', ['build', '-q', '-t', 'cestx-bench', context]);
  const name = `cestx-bench-${turn}`;
  await run('docker', ['run', '-d', '--name', name, '-e', 'PORT=8080', 'cestx-bench']);
  const { stdout } = await run('docker', ['inspect', '-f', '{{.NetworkSettings.IPAddress}}', name]);
  await untilAnswered(`http://${stdout.trim()}:8080/echo-name`);
  const ms = performance.now() - started;
  await run('docker', ['rm', '-f', name]);
  return ms;
}

/** Milliseconds from the upload until the gateway answers with the new revision. */
async function deployByCestx(client: Client, url: string, turn: number): Promise<number> {
  const { archive } = await packSource(source);
  const started = performance.now();
  const { deploymentId } = await client.deployFunction({ source: archive });
  for await (const deployment of client.followDeployment(deploymentId)) {
    if (deployment.state === 'failed') throw new Error(`deploy ${turn}: ${deployment.error?.message}`);
    if (deployment.steps.some((step) => step.name === 'make-live' && step.state === 'done')) break;
  }
  await untilAnswered(`${url}/function/echo-name/echo-name`);
  return performance.now() - started;
}

async function untilAnswered(url: string): Promise<void> {
  const body = JSON.stringify({ name: 'Ada' });
  for (;;) {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    }).catch(() => null);
    if (answer?.status === 200) return;
    await sleep(2);
  }
}
