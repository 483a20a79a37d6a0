// Deploys the queue, watches one round of it, tells how it went, and removes it.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const cli = join(here, '../../scripts/cestx.mjs');
const asJson = process.argv.includes('--json');
const jobs = Number(process.env.JOBS ?? 100);
const lookMs = Number(process.env.LOOK_MS ?? 500);
const patienceMs = Number(process.env.PATIENCE_MS ?? 15 * 60_000);
const environment = { JOB_SCHEDULE: '@every 1m', JOB_MS: '1000', ...process.env };

function cestx(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args, '--json'], {
    env: environment,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`cestx ${args.join(' ')} failed:\n${stderr}${stdout}`);
  return stdout;
}

const say = (text) => process.stderr.write(`${text}\n`);
const url = process.env.CESTX_URL ?? 'http://localhost:8080';
const key = process.env.CESTX_KEY ?? '';

/** Looks the CLI would take a process for each. */
async function get(path) {
  const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
async function look() {
  const [machines, triggers] = await Promise.all([
    get('/v1/machines?function=job-worker&limit=100'),
    get('/v1/triggers?function=job-worker'),
  ]);
  const [{ waiting, working }] = triggers.items;
  const running = machines.items.filter(({ state }) => state === 'running').length;
  return { at: Date.now(), machines: running, waiting: waiting ?? 0, working: working ?? 0 };
}

/** Jobs done, as the workers' own lines tell them. */
function done() {
  return cestx('logs', 'job-worker', '--tail', '10000')
    .split('\n')
    .flatMap((line) => {
      try {
        const said = JSON.parse(JSON.parse(line).text);
        return said.job ? [said] : [];
      } catch {
        return [];
      }
    });
}

function plot(samples, name, pick) {
  const levels = ' ▁▂▃▄▅▆▇█';
  const width = Math.min(72, samples.length);
  const most = Math.max(1, ...samples.map(pick));
  const bars = Array.from({ length: width }, (_, column) => {
    const part = samples.slice(
      Math.floor((column * samples.length) / width),
      Math.max(1, Math.floor(((column + 1) * samples.length) / width)),
    );
    const value = Math.max(...part.map(pick));
    return levels[value === 0 ? 0 : Math.max(1, Math.round((value / most) * 8))];
  });
  return `${name.padEnd(9)} 0–${String(most).padEnd(4)} ${bars.join('')}`;
}

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

async function main() {
  say('deploying job-worker and job-publisher');
  cestx('deploy', join(here, 'worker'));
  const samples = [];
  try {
    // At rest: nothing waits and nothing runs.
    const rest = Date.now() + patienceMs;
    while ((await look()).machines > 0 && Date.now() < rest) await sleep(lookMs);
    cestx('deploy', join(here, 'publisher'));
    say(
      `waiting for a tick (${environment.JOB_SCHEDULE}), then for the queue to be empty and the machines to be gone`,
    );
    const deadline = Date.now() + patienceMs;
    let seen = false;
    let paused = false;
    for (;;) {
      const sample = await look();
      samples.push(sample);
      seen ||= sample.waiting + sample.working > 0;
      if (seen && !paused) {
        // One round is enough to look at.
        const [{ id }] = (await get('/v1/triggers?function=job-publisher')).items;
        await fetch(`${url}/v1/functions/job-publisher/triggers/${id}/pause`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}` },
        });
        paused = true;
      }
      if (seen && sample.waiting + sample.working + sample.machines === 0) break;
      if (Date.now() > deadline)
        throw new Error(`not through after ${patienceMs} ms: ${JSON.stringify(sample)}`);
      await sleep(lookMs);
    }
    const said = done();
    const waits = said.map(({ waitedMs }) => waitedMs).toSorted((a, b) => a - b);
    const first = samples.find(({ waiting, working }) => waiting + working > 0)?.at ?? 0;
    const ids = new Set(said.map(({ job }) => job));
    const figures = {
      jobs,
      done: ids.size,
      doneTwice: said.length - ids.size,
      mostMachines: Math.max(...samples.map(({ machines }) => machines)),
      machinesThatWorked: new Set(said.map(({ machine }) => machine)).size,
      machinesAtEnd: samples.at(-1)?.machines,
      emptyAfterMs: (samples.findLast(({ waiting, working }) => waiting + working > 0)?.at ?? 0) - first,
      zeroAfterMs: (samples.at(-1)?.at ?? 0) - first,
      latencyMs: { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) },
    };
    if (asJson) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else {
      const shown = samples.slice(Math.max(0, samples.findIndex(({ at }) => at >= first) - 2));
      say('');
      process.stdout.write(
        `${plot(shown, 'waiting', ({ waiting }) => waiting)}\n${plot(shown, 'working', ({ working }) => working)}\n` +
          `${plot(shown, 'machines', ({ machines }) => machines)}\n\n` +
          `${figures.done} of ${jobs} jobs done, ${figures.doneTwice} of them twice; ` +
          `up to ${figures.mostMachines} machines, ${figures.machinesAtEnd} at the end\n` +
          `queue empty after ${(figures.emptyAfterMs / 1000).toFixed(1)} s, no machine after ${(figures.zeroAfterMs / 1000).toFixed(1)} s; ` +
          `from publishing to done p50 ${figures.latencyMs.p50} ms, p99 ${figures.latencyMs.p99} ms\n`,
      );
    }
  } finally {
    say('removing both');
    for (const name of ['job-publisher', 'job-worker']) {
      try {
        cestx('remove', name);
      } catch {
        // It was not deployed.
      }
    }
  }
}

await main();
