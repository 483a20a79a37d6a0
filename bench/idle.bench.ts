import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packSource } from '#client';
import { eventually } from '#testing';

import { startAllInOne } from './all-in-one.ts';
import { cpuSecondsOf, memoryOf } from './process-tree.ts';
import { median, quantile, report } from './report.ts';

/**
 * What functions cost that nobody calls: memory and cpu of the whole platform with 1, 100 and 1,000 functions without a
 * machine, and the time of a call to one among them whose machine runs. CESTX_BENCH_FUNCTIONS ends it earlier.
 */
const most = Number(process.env['CESTX_BENCH_FUNCTIONS'] ?? 1000);
const sizes = [1, 100, 1000].filter((size) => size <= most);
const deploysAtOnce = 4;
const restMs = 15_000;
const calls = 400;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
let platform = await startAllInOne(join(folder, 'data'), 'process');
try {
  const { archive } = await packSource(await writeSource());
  await deploy('called', 'scale: { min: 1 }\n');
  let first: { memory: number; call: number } | undefined;
  let deployed = 0;
  for (const size of sizes) {
    const names = Array.from({ length: size - deployed }, (_, index) => `idle-${deployed + index}`);
    const started = performance.now();
    await Promise.all(
      Array.from({ length: deploysAtOnce }, async () => {
        for (let name = names.shift(); name !== undefined; name = names.shift())
          await deploy(name, 'scale: { freezeAfter: 1s, stopAfter: 1s, removeAfter: 1s }\n');
      }),
    );
    const perDeploy = (performance.now() - started) / (size - deployed);
    deployed = size;
    await eventually(
      async () => {
        const { items } = await platform.client.listMachines();
        return items.every((machine) => machine.function === 'called');
      },
      { timeoutMs: 120_000, everyMs: 500 },
    );
    // What the deployments left in memory is not the cost of what was deployed.
    await platform.stop();
    platform = await startAllInOne(join(folder, 'data'), 'process');
    await timeCalls('called');
    await sleep(5000);
    const pid = platform.process.pid ?? 0;
    const cpuBefore = await cpuSecondsOf(pid);
    await sleep(restMs);
    const cpu = ((await cpuSecondsOf(pid)) - cpuBefore) / (restMs / 1000);
    const memory = await memoryOf(pid);
    const times = await timeCalls('called');
    first ??= { memory, call: median(times) };
    const functions = `${size} function${size === 1 ? '' : 's'} at zero`;
    report({ name: `${functions}: a deploy`, value: perDeploy, unit: 'ms' });
    report({
      name: `${functions}: memory, all processes (PSS)`,
      value: memory,
      unit: 'MB',
      bound: first.memory,
    });
    report({ name: `${functions}: cpu at rest`, value: cpu * 100, unit: '% core' });
    report({
      name: `${functions}: call among them, p50`,
      value: median(times),
      unit: 'ms',
      bound: first.call,
    });
    report({ name: `${functions}: call among them, p99`, value: quantile(times, 0.99), unit: 'ms' });
    report({ name: `${functions}: wake of one of them`, value: await timeWake('idle-0'), unit: 'ms' });
  }

  async function deploy(name: string, manifest: string): Promise<void> {
    const { deploymentId } = await platform.client.deployFunction({
      source: archive,
      manifest: `name: ${name}\n${manifest}`,
    });
    for await (const { state, error } of platform.client.followDeployment(deploymentId))
      if (state === 'failed') throw new Error(`${name}: ${error?.message}`);
  }
} finally {
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
}

/** One after the other over one connection. */
async function timeCalls(name: string): Promise<number[]> {
  const times: number[] = [];
  for (let turn = 0; turn < calls; turn++) times.push(await timeCall(name));
  return times.slice(calls / 10);
}

async function timeWake(name: string): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    times.push(await timeCall(name));
    await eventually(
      async () => (await platform.client.listMachines({ function: name })).items.length === 0,
      { timeoutMs: 30_000, everyMs: 200 },
    );
  }
  return median(times);
}

async function timeCall(name: string): Promise<number> {
  const started = performance.now();
  const answer = await platform.client.invoke(name);
  await answer.text();
  if (answer.status !== 200) throw new Error(`${name} answered ${answer.status}`);
  return performance.now() - started;
}

async function writeSource(): Promise<string> {
  const source = await mkdtemp(join(folder, 'source-'));
  await writeFile(
    join(source, 'package.json'),
    JSON.stringify({ name: 'idle', version: '1.0.0', scripts: { start: 'node index.js' } }),
  );
  await writeFile(
    join(source, 'index.js'),
    `require('node:http').createServer((request, response) => response.end('ok')).listen(process.env.PORT, '0.0.0.0');`,
  );
  return source;
}
