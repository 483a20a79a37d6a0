import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { defaultResources, type Artifact } from '#contracts';
import { eventually } from '#testing';
import { maxLineBytes, type MachineDriver, type MachineLine, type MachineSpec } from '../machine.driver.ts';

export interface DriverUnderTest {
  /** A driver of a house; drivers of the same name see the same machines, as after a restart of the room. */
  open(house: string): Promise<MachineDriver>;
  /** What starts this JavaScript with Node. */
  artifactOf(program: string): Promise<Artifact>;
  /** Removes what a house and the artefacts left behind. */
  clean(house: string): Promise<void>;
  /** True when machines go on while no driver is there. */
  readonly outlives: boolean;
  /** True when what a machine may have beyond cpu, memory and processes can be bounded: network, size of /tmp. */
  readonly contains: boolean;
}

const serve = `
  const http = require('node:http');
  console.log('first line');
  console.error('a word on stderr');
  http.createServer((q, r) => {
    if (q.url === '/env') return r.end(JSON.stringify(process.env));
    if (q.url === '/who') return r.end(JSON.stringify({ uid: process.getuid(), status: require('fs').readFileSync('/proc/self/status', 'utf8'), limits: require('fs').readFileSync('/proc/self/limits', 'utf8') }));
    console.log('called ' + q.url);
    r.end('hello');
  }).listen(process.env.PORT, '0.0.0.0');
  process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });
`;

/** What every driver promises, against the real thing. */
export function describeMachineDriver(name: string, under: DriverUnderTest, skip: boolean): void {
  describe.skipIf(skip)(`${name} driver`, () => {
    const house = `test-${randomUUID().slice(0, 8)}`;
    let driver: MachineDriver;
    let server: Artifact;

    beforeAll(async () => {
      driver = await under.open(house);
      server = await under.artifactOf(serve);
    });
    afterEach(async () => {
      for (const { id } of await driver.list()) await driver.remove(id);
    });
    afterAll(async () => {
      await driver?.close();
      await under.clean(house);
    });

    function specOf(artifact: Artifact, more: Partial<MachineSpec> = {}): MachineSpec {
      return {
        id: `m-${randomUUID().slice(0, 12)}`,
        project: 'default',
        function: 'echo',
        revision: 'echo-v1',
        artifact,
        resources: { ...defaultResources, cpu: 1, memory: 128 * 1024 ** 2, pids: 64 },
        environment: { GREETING: 'Hello', CESTX_MACHINE: 'set below' },
        ...more,
      };
    }
    async function started(artifact: Artifact, more: Partial<MachineSpec> = {}): Promise<string> {
      const spec = specOf(artifact, more);
      await driver.create({ ...spec, environment: { ...spec.environment, CESTX_MACHINE: spec.id } });
      await driver.start(spec.id);
      return spec.id;
    }
    async function get(id: string, path: string, timeout = 1000): Promise<string> {
      const address = (await driver.inspect(id))?.address;
      const answer = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(timeout) });
      return answer.text();
    }
    const answering = (id: string) => eventually(() => get(id, '/'), { timeoutMs: 15_000 });
    async function exited(id: string) {
      return eventually(
        async () => {
          const seen = await driver.inspect(id);
          return seen?.state === 'exited' && seen.exit;
        },
        { timeoutMs: 20_000 },
      );
    }
    async function linesOf(id: string, seen: readonly MachineLine[] = []): Promise<MachineLine[]> {
      const lines: MachineLine[] = [];
      const late = AbortSignal.timeout(20_000);
      for await (const batch of driver.logs(id, seen, late)) lines.push(...batch);
      return lines;
    }
    /** The driver itself says what it cannot do on this machine. */
    const isUnlimited = (what: string): boolean =>
      /Not limited here: ([^.]*)/.exec(driver.warning ?? '')?.[1]?.includes(what) ?? false;
    const texts = (lines: readonly MachineLine[]): string[] => lines.map(({ text }) => text);

    test('a machine lives its whole life: created, started, called, stopped, started again, removed', async () => {
      const spec = specOf(server);
      await driver.create(spec);
      expect(await driver.inspect(spec.id)).toMatchObject({ id: spec.id, state: 'created', address: null });
      await driver.start(spec.id);
      expect(await answering(spec.id)).toBe('hello');
      expect((await driver.list()).map(({ id, state }) => [id, state])).toEqual([[spec.id, 'running']]);
      await driver.stop(spec.id, 5000);
      expect(await driver.inspect(spec.id)).toMatchObject({ state: 'exited', exit: { code: 0 } });
      await driver.start(spec.id);
      expect(await answering(spec.id)).toBe('hello');
      await driver.remove(spec.id);
      expect(await driver.inspect(spec.id)).toBeNull();
      expect(await driver.list()).toEqual([]);
    });

    test('every call made twice is as good as made once, and what is not there can be stopped and removed', async () => {
      const spec = specOf(server);
      await driver.create(spec);
      await driver.create(spec);
      await driver.start(spec.id);
      await driver.start(spec.id);
      await answering(spec.id);
      expect(await driver.list()).toHaveLength(1);
      await driver.stop(spec.id, 1000);
      await driver.stop(spec.id, 1000);
      await driver.remove(spec.id);
      await driver.remove(spec.id);
      await driver.stop('m-never', 1000);
      await driver.remove('m-never');
      expect(await driver.inspect('m-never')).toBeNull();
      expect(await driver.stats('m-never')).toBeNull();
    });

    test('the program finds its own environment and nothing of the platform', async () => {
      process.env['CESTX_SECRET_OF_PLATFORM'] = 'x';
      const id = await started(server);
      await answering(id);
      const environment = JSON.parse(await get(id, '/env')) as Record<string, string>;
      expect(environment).toMatchObject({ GREETING: 'Hello', CESTX_MACHINE: id });
      expect(Number(environment['PORT'])).toBeGreaterThan(0);
      expect(environment).not.toHaveProperty('CESTX_SECRET_OF_PLATFORM');
      delete process.env['CESTX_SECRET_OF_PLATFORM'];
    });

    test('it runs as nobody special: not root, no capabilities, no way to more, bounded files', async () => {
      const id = await started(server);
      await answering(id);
      const { uid, status, limits } = JSON.parse(await get(id, '/who')) as Record<string, string>;
      expect(uid).not.toBe(0);
      expect(status).toMatch(/CapEff:\s+0000000000000000/);
      if (process.getuid?.() === 0) expect(status).toMatch(/CapBnd:\s+0000000000000000/);
      expect(status).toMatch(/NoNewPrivs:\s+1/);
      expect(limits).toMatch(/Max open files\s+8192\s+8192/);
    });

    test('a frozen machine does not answer, and answers again once thawed', async () => {
      const id = await started(server);
      await answering(id);
      for (let round = 0; round < 5; round++) {
        await driver.freeze(id);
        expect((await driver.inspect(id))?.state).toBe('frozen');
        if (round === 0) await expect(get(id, '/', 200)).rejects.toThrow();
        await driver.thaw(id);
        expect((await driver.inspect(id))?.state).toBe('running');
        expect(await get(id, '/', 5000)).toBe('hello');
      }
    });

    test('freezing and thawing under load goes wrong in none of 200 cycles, and no answer is lost', async () => {
      const id = await started(server);
      await answering(id);
      const stop = new AbortController();
      let answers = 0;
      const load = Array.from({ length: 4 }, async () => {
        while (!stop.signal.aborted) {
          expect(await get(id, '/', 10_000)).toBe('hello');
          answers++;
        }
      });
      for (let cycle = 0; cycle < 200; cycle++) {
        await driver.freeze(id);
        expect((await driver.inspect(id))?.state).toBe('frozen');
        await driver.thaw(id);
        expect((await driver.inspect(id))?.state).toBe('running');
        if (cycle % 20 === 0) expect(await get(id, '/', 5000)).toBe('hello');
      }
      stop.abort();
      await Promise.all(load);
      expect(answers).toBeGreaterThan(10);
    });

    test('what is frozen can be frozen again, what runs thawed again, and what is not there is a conflict', async () => {
      const id = await started(server);
      await answering(id);
      await driver.freeze(id);
      await driver.freeze(id);
      expect((await driver.list()).map(({ state }) => state)).toEqual(['frozen']);
      expect((await driver.inspect(id))?.address).not.toBeNull();
      await driver.thaw(id);
      await driver.thaw(id);
      expect(await get(id, '/', 5000)).toBe('hello');
      await driver.stop(id, 1000);
      await expect(driver.freeze(id)).rejects.toMatchObject({ code: 'conflict' });
      await expect(driver.thaw(id)).rejects.toMatchObject({ code: 'conflict' });
    });

    test('a frozen machine can be removed, by its own driver and by one that never saw it', async () => {
      const ids = await Promise.all([started(server), started(server)]);
      await Promise.all(ids.map(answering));
      await Promise.all(ids.map((id) => driver.freeze(id)));
      const [own, orphan] = ids;
      await driver.remove(own);
      expect(await driver.inspect(own)).toBeNull();
      if (!under.outlives) await driver.close();
      const next = await under.open(house);
      expect((await next.inspect(orphan))?.state).toBe(under.outlives ? 'frozen' : 'exited');
      await next.remove(orphan);
      expect(await next.list()).toEqual([]);
      if (under.outlives) await driver.close();
      driver = next;
    });

    test('a frozen machine can be stopped, and ends in its own way', async () => {
      const id = await started(server);
      await answering(id);
      await driver.freeze(id);
      await driver.stop(id, 5000);
      expect(await driver.inspect(id)).toMatchObject({ state: 'exited', exit: { code: 0 } });
      expect(texts(await linesOf(id))).toContain('asked to end');
    });

    test('a program that ignores SIGTERM is killed after the grace period', async () => {
      const stubborn = await under.artifactOf(
        `process.on('SIGTERM', () => {}); require('node:http').createServer((q, r) => r.end('hello')).listen(process.env.PORT, '0.0.0.0');`,
      );
      const id = await started(stubborn);
      await answering(id);
      const before = Date.now();
      await driver.stop(id, 1000);
      expect(Date.now() - before).toBeGreaterThan(900);
      expect(Date.now() - before).toBeLessThan(8000);
      expect((await driver.inspect(id))?.state).toBe('exited');
    });

    test('whoever listens is told of an exit at once, and why it was', async () => {
      const told: string[] = [];
      const stop = driver.onExit((id) => told.push(id));
      const id = await started(await under.artifactOf(`console.error('cannot go on'); process.exit(3);`));
      await eventually(() => told.includes(id), { timeoutMs: 10_000 });
      stop();
      expect(await exited(id)).toMatchObject({ code: 3, reason: 'exited with code 3' });
    });

    test('the last lines of a program that ends at once are not lost', async () => {
      const shouting = await under.artifactOf(
        `for (let n = 1; n <= 500; n++) { console.log('out ' + n); console.error('err ' + n); } process.stdout.write('no line end'); process.exitCode = 1;`,
      );
      const id = await started(shouting);
      const lines = await linesOf(id);
      const out = lines.filter(({ stream }) => stream === 'stdout');
      const bad = lines.filter(({ stream }) => stream === 'stderr');
      expect(texts(out)).toEqual([...Array.from({ length: 500 }, (_, n) => `out ${n + 1}`), 'no line end']);
      expect(texts(bad)).toEqual(Array.from({ length: 500 }, (_, n) => `err ${n + 1}`));
      for (const { timestamp } of lines) expect(Date.parse(timestamp)).toBeGreaterThan(Date.now() - 60_000);
    });

    test('a reader that goes on after any line misses none and gets none twice', async () => {
      const id = await started(
        await under.artifactOf(
          `for (let n = 1; n <= 40; n++) { console.log('line'); console.error('line ' + n); }`,
        ),
      );
      const all = await linesOf(id);
      expect(all).toHaveLength(80);
      for (const kept of [1, 7, 40, 79, 80]) {
        const rest = await linesOf(id, all.slice(0, kept));
        expect(rest).toEqual(all.slice(kept));
      }
    });

    test('lines of before and after a restart are one log', async () => {
      const id = await started(server);
      await answering(id);
      await driver.stop(id, 5000);
      const before = await linesOf(id);
      await driver.start(id);
      await answering(id);
      await driver.stop(id, 5000);
      const after = await linesOf(id, before);
      expect(texts(after).filter((text) => text === 'first line')).toHaveLength(1);
      expect(texts(await linesOf(id)).filter((text) => text === 'first line')).toHaveLength(2);
    });

    test('a line longer than the limit arrives in pieces and whole', async () => {
      const id = await started(await under.artifactOf(`console.log('x'.repeat(40000)); console.log('end');`));
      const lines = await linesOf(id);
      expect(Math.max(...lines.map(({ text }) => Buffer.byteLength(text)))).toBeLessThanOrEqual(maxLineBytes);
      expect(texts(lines).join('')).toBe(`${'x'.repeat(40_000)}end`);
      expect(lines.at(-1)?.text).toBe('end');
    });

    test('a program that eats more memory than it may is ended, and that is said', async ({
      skip: leaveOut,
    }) => {
      leaveOut(isUnlimited('memory'), 'memory cannot be limited here');
      const greedy = await under.artifactOf(
        `const kept = []; setInterval(() => kept.push(Buffer.alloc(16 * 1024 * 1024, 1)), 5);`,
      );
      const id = await started(greedy, {
        resources: { ...defaultResources, cpu: 1, memory: 64 * 1024 ** 2, pids: 64 },
      });
      expect((await exited(id)).reason).toBe('was killed for using more than its 64 MiB of memory');
    });

    test('a program cannot start processes without end', async ({ skip: leaveOut }) => {
      leaveOut(isUnlimited('pids'), 'processes cannot be limited here');
      const forking = await under.artifactOf(`
        const { spawn } = require('node:child_process');
        let started = 0, refused = 0;
        for (let n = 0; n < 60; n++) {
          const child = spawn('sleep', ['30']);
          child.on('spawn', () => started++); child.on('error', () => refused++);
        }
        setTimeout(() => { console.log(JSON.stringify({ started, refused })); process.exit(0); }, 2000);
      `);
      const id = await started(forking, {
        resources: { ...defaultResources, cpu: 1, memory: 128 * 1024 ** 2, pids: 32 },
      });
      await exited(id);
      const said = texts(await linesOf(id)).join('\n');
      expect(said).toMatch(/"refused":[1-9]|EAGAIN|Resource temporarily unavailable|pthread_create/);
    });

    test('what a machine started ends with it', async () => {
      const parent = await under.artifactOf(`
        const child = require('node:child_process').spawn('sleep', ['987654'], { detached: true, stdio: 'ignore' });
        child.unref();
        require('node:http').createServer((q, r) => r.end('hello')).listen(process.env.PORT, '0.0.0.0');
        setTimeout(() => process.exit(5), 1500);
      `);
      const id = await started(parent);
      await answering(id);
      await exited(id);
      await eventually(async () => !(await commandLines()).some((line) => line.includes('987654')));
    });

    test('open files are limited as asked, and so is /tmp where the driver can', async () => {
      const writing = await under.artifactOf(`
        const fs = require('node:fs');
        let free = -1;
        try { free = fs.statfsSync('/tmp').blocks * fs.statfsSync('/tmp').bsize; } catch {}
        console.log(JSON.stringify({ free, files: /Max open files +(\\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1] }));
      `);
      const id = await started(writing, {
        resources: { ...defaultResources, cpu: 1, files: 300, tmp: 5 * 1024 ** 2 },
      });
      await exited(id);
      const said = JSON.parse(texts(await linesOf(id))[0] ?? '{}') as { files: string; free: number };
      expect(said.files).toBe('300');
      if (under.contains) expect(said.free).toBe(5 * 1024 ** 2);
      else expect(isUnlimited('/tmp')).toBe(true);
    });

    test('what cannot be kept is refused, and nothing is left of it', async () => {
      const unknown = specOf(server, { runtime: 'sysbox-runc' });
      await expect(driver.create(unknown)).rejects.toMatchObject({ code: 'start-failed', retryable: false });
      if (!under.contains) {
        const alone = specOf(server, { resources: { ...defaultResources, network: false } });
        await expect(driver.create(alone)).rejects.toMatchObject({ code: 'start-failed', retryable: false });
      }
      expect(await driver.list()).toEqual([]);
    });

    test('its use of cpu and memory can be read while it runs', async () => {
      const id = await started(server);
      await answering(id);
      const usage = await driver.stats(id);
      if (!isUnlimited('memory')) expect(usage?.memoryLimitBytes).toBe(128 * 1024 ** 2);
      expect(usage?.memoryBytes).toBeGreaterThan(1024 ** 2);
      expect(usage?.cpuSeconds).toBeGreaterThan(0);
      expect(usage?.processes).toBeGreaterThan(0);
    });

    test('one can see where its program listens, so that a wrong port can be named', async () => {
      const port = 31_987;
      const wrong = await under.artifactOf(`require('node:http').createServer().listen(${port}, '0.0.0.0')`);
      const id = await started(wrong);
      const listeners = await eventually(
        async () => {
          const found = await driver.listeners(id);
          return found && found.length > 0 && found;
        },
        { timeoutMs: 15_000 },
      );
      expect(listeners).toEqual([{ port, reachable: true }]);
    });

    test('machines of another house are neither listed nor touched', async () => {
      const other = await under.open(`${house}-other`);
      try {
        const id = await started(server);
        expect(await other.list()).toEqual([]);
        await answering(id);
      } finally {
        await other.close();
        await under.clean(`${house}-other`);
      }
    });

    test('a driver that comes back finds what the one before it left', async () => {
      const id = await started(server);
      await answering(id);
      const before = await readUntil(driver, id, 'called /');
      if (!under.outlives) await driver.close();
      const next = await under.open(house);
      try {
        const seen = await next.inspect(id);
        expect(seen?.state).toBe(under.outlives ? 'running' : 'exited');
        await next.start(id);
        driver = next;
        await answering(id);
        await next.stop(id, 5000);
        const rest = texts(await linesOf(id, before));
        expect(rest.filter((text) => text === 'first line')).toHaveLength(under.outlives ? 0 : 1);
        expect(rest).toContain('asked to end');
      } finally {
        driver = next;
      }
    });

    test('several machines at once, killed and removed twice over, leave nothing', async () => {
      const ids = await Promise.all(Array.from({ length: 6 }, () => started(server)));
      await Promise.all(ids.map((id) => driver.stop(id, 0)));
      await Promise.all(ids.map((id) => Promise.allSettled([driver.remove(id), driver.remove(id)])));
      expect(await driver.list()).toEqual([]);
    });
  });
}

async function readUntil(driver: MachineDriver, id: string, text: string): Promise<MachineLine[]> {
  const lines: MachineLine[] = [];
  const stop = new AbortController();
  for await (const batch of driver.logs(id, [], stop.signal)) {
    lines.push(...batch);
    if (lines.some((line) => line.text === text)) break;
  }
  stop.abort();
  return lines;
}

async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
}
