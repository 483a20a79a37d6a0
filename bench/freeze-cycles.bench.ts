import { ask, openDriverBench } from './docker-driver.ts';
import { report } from './report.ts';

/**
 * Freezes and thaws one machine while calls flow. A cycle goes wrong when the driver throws, when the machine is not in the
 * state it was brought to, when it answers though frozen, or when it does not answer once thawed.
 */
const cycles = Number(process.env['CESTX_BENCH_CYCLES'] ?? 5000);
const callers = 8;
/** Every so many cycles a call is made while the machine is frozen, and given up after this many milliseconds. */
const [probeEvery, probeTimeout] = [50, 25];
const bench = await openDriverBench('freeze cycles');
if (!bench) process.exit();
const { driver } = bench;
const wrong: string[] = [];
let answered = 0;
let lost = 0;
let running = true;
try {
  await bench.create('m-cycles');
  const address = await bench.start('m-cycles');
  const calls = Array.from({ length: callers }, async () => {
    while (running) {
      if ((await ask(address, 30_000)) === 'hello') answered++;
      else lost++;
    }
  });
  const began = performance.now();
  for (let cycle = 0; cycle < cycles; cycle++) {
    const problem = await turn(address, cycle % probeEvery === 0).catch(String);
    if (problem !== null) {
      wrong.push(`cycle ${cycle}: ${problem}`);
      process.stdout.write(`${wrong.at(-1)}\n`);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  running = false;
  await Promise.all(calls);
  report({
    name: `freeze-thaw cycles wrong, of ${cycles}`,
    value: wrong.length,
    unit: '',
    gate: 'none',
    met: wrong.length === 0,
  });
  report({
    name: 'calls lost meanwhile',
    value: lost,
    unit: '',
    gate: 'none',
    met: lost === 0 && answered > cycles / 10,
  });
  report({ name: 'calls answered meanwhile', value: answered, unit: '' });
  report({ name: 'cycles each second', value: cycles / seconds, unit: '1/s' });
} finally {
  running = false;
  await bench.close();
}

/** What was wrong with one cycle, or null. */
async function turn(address: string, probe: boolean): Promise<string | null> {
  await driver.freeze('m-cycles');
  const frozen = (await driver.inspect('m-cycles'))?.state;
  if (frozen !== 'frozen') return `${frozen} after freezing`;
  if (probe && (await ask(address, probeTimeout)) !== null) return 'it answered though frozen';
  await driver.thaw('m-cycles');
  const thawed = (await driver.inspect('m-cycles'))?.state;
  if (thawed !== 'running') return `${thawed} after thawing`;
  if (probe && (await ask(address)) !== 'hello') return 'it did not answer once thawed';
  return null;
}
