import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { packSource } from '#client';
import { dockerAvailable, eventually } from '#testing';

import { startAllInOne } from './all-in-one.ts';
import { median, report } from './report.ts';

/**
 * From the first of many calls to a function with one machine until four run, of which at least the first report (a second)
 * and the next look (another) are waiting; the bound is one start of a machine.
 */
const turns = 5;
const callers = 20;
const wanted = 4;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
const platform = await startAllInOne(join(folder, 'data'), dockerAvailable() ? 'docker' : 'process');
const { client } = platform;
try {
  const decided: number[] = [];
  const running: number[] = [];
  const starts: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const name = `busy-${turn}`;
    starts.push(await deploy(name));
    const began = Date.now();
    let over = false;
    const load = Array.from({ length: callers }, async () => {
      while (!over) await (await client.invoke(name)).text();
    });
    await eventually(async () => (await runningOf(name)) >= wanted, { timeoutMs: 60_000, everyMs: 20 });
    running.push(Date.now() - began);
    over = true;
    await Promise.all(load);
    const { items } = await client.listScaleDecisions(name);
    decided.push(Date.parse(items.at(-1)?.at ?? '') - began);
    await client.removeFunction(name);
  }
  const bound = median(starts);
  report({ name: 'scale up: load to decision', value: median(decided), unit: 'ms' });
  report({ name: `scale up: load to ${wanted} running`, value: median(running), unit: 'ms', bound });
} finally {
  await eventually(async () => (await client.listMachines()).items.length === 0, { timeoutMs: 30_000 });
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
}

async function runningOf(name: string): Promise<number> {
  const { items } = await client.listMachines({ function: name });
  return items.filter(({ state }) => state === 'running').length;
}

/** Deploys a function that takes half a second over each call; returns the milliseconds its machine took to start. */
async function deploy(name: string): Promise<number> {
  const source = await mkdtemp(join(folder, 'source-'));
  await writeFile(
    join(source, 'package.json'),
    JSON.stringify({ name, version: '1.0.0', scripts: { start: 'node index.js' } }),
  );
  await writeFile(
    join(source, 'index.js'),
    `require('node:http').createServer((request, response) => setTimeout(() => response.end('ok'), 500)).listen(process.env.PORT, '0.0.0.0');`,
  );
  const manifest = `name: ${name}\nscale: { target: 5, max: ${wanted} }\n`;
  const { archive } = await packSource(source);
  const { deploymentId } = await client.deployFunction({ source: archive, manifest });
  let startMs = Number.NaN;
  for await (const { state, error, steps } of client.followDeployment(deploymentId)) {
    if (state === 'failed') throw new Error(error?.message);
    startMs = steps.find((step) => step.name === 'start-machine')?.ms ?? startMs;
  }
  return startMs;
}
