import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { eventually } from '#testing';

import { deployAndWait, deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { everyHouse, type House } from './harness/house.ts';
import { nodeApp, uniqueName } from './harness/sample-apps.ts';

const simplest = everyHouse.filter(({ mode, driver }) => mode === 'all-in-one' && driver === 'process');

inEachHouse(
  'calls to functions at rest',
  (house) => {
    test('500 callers at once to a function without a machine are all answered, by one machine', async () => {
      const name = uniqueName('crowd');
      await deployHello(house(), name);
      await house().client.removeMachine(await machineOf(house(), name));
      const answers = await Promise.all(Array.from({ length: 500 }, () => house().call(`/function/${name}`)));
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      const machines = answers.map(({ body }) => (JSON.parse(body) as { machine: string }).machine);
      expect(new Set(machines)).toEqual(new Set([await machineOf(house(), name)]));
      expect((await house().call('/metrics')).body).toContain(
        'cestx_cold_start_seconds_count{kind="absent"} 1',
      );
      await removeAndWait(house(), name);
    });

    test('a WebSocket and a stream of events are waited for before their machine freezes, and a new one thaws it', async () => {
      const name = uniqueName('lasting');
      await deployAndWait(house(), await nodeApp(name, lastingSource));
      const id = await machineOf(house(), name);
      for (const by of ['order', 'itself']) {
        const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket';
        const socket = converse(house(), name, `GET /function/{name}/ws HTTP/1.1\r\n${upgrade}`);
        const stream = converse(house(), name, 'GET /function/{name}/events HTTP/1.1');
        await eventually(() => socket.said().endsWith('open ') && stream.said().includes('data: 3'));
        const moving = by === 'order' ? house().client.moveMachine(id, 'freeze') : null;
        if (!moving) await house().client.changeScale(name, { freezeAfter: '500ms', stopAfter: '1h' });
        // Two seconds of ticks.
        const before = stream.said().length;
        await eventually(() => stream.said().length > before + 100 * 'data: 10\n\n'.length);
        socket.say('hello');
        await eventually(() => socket.said().endsWith('heard hello'));
        expect((await house().client.getMachine(id)).state).toBe('running');
        socket.close();
        stream.close();
        await moving;
        await house().client.waitForMachine(id, { state: 'frozen', timeout: '30s' });
      }
      await removeAndWait(house(), name);
    });

    test('a program that takes longer than its startup time ends in 503 with the reason, and is tried again', async () => {
      const name = uniqueName('tardy');
      const marker = `/tmp/${name}`;
      const manifest = 'health: { startup: 1s }\n';
      await deployAndWait(house(), await nodeApp(name, tardySource(marker), manifest));
      await house().client.moveMachine(await machineOf(house(), name), 'stop');
      const answers = await Promise.all(Array.from({ length: 5 }, () => house().call(`/function/${name}`)));
      for (const { status, headers, body } of answers) {
        expect({ status, code: (JSON.parse(body) as { code: string }).code }).toEqual({
          status: 503,
          code: 'start-failed',
        });
        expect(headers['retry-after']).toBe('1');
        expect(body).not.toContain('waking up slowly');
      }
      await rm(marker);
      await eventually(async () => (await house().call(`/function/${name}`)).status === 200, {
        timeoutMs: 30_000,
      });
      await removeAndWait(house(), name);
    });

    test('a function that answers nothing any more when it is thawed costs its own callers 504, and nobody else anything', async () => {
      const name = uniqueName('stuck');
      await deployAndWait(house(), await nodeApp(name, stuckSource, 'timeout: 1s\n'));
      const healthy = uniqueName('healthy');
      await deployHello(house(), healthy);
      const id = await machineOf(house(), name);
      await house().client.moveMachine(id, 'freeze');
      await delay(2500);
      const callers = Array.from({ length: 20 }, () => house().call(`/function/${name}`));
      expect((await house().call(`/function/${healthy}`)).status).toBe(200);
      for (const { status } of await Promise.all(callers)) expect(status).toBe(504);
      // A fresh one is as good as new.
      await house().client.removeMachine(id);
      expect((await house().call(`/function/${name}`)).status).toBe(200);
      await removeAndWait(house(), name);
    });
  },
  simplest,
);

async function machineOf(house: House, name: string): Promise<string> {
  const { items } = await house.client.listMachines({ function: name });
  expect(items).toHaveLength(1);
  return items[0]?.id ?? '';
}

/** A connection of which one can read what came so far. */
function converse(house: House, name: string, start: string) {
  let received = '';
  const socket = connect(house.port, '127.0.0.1');
  socket.on('data', (chunk) => (received += chunk.toString('latin1'))).on('error', () => undefined);
  socket.write(`${start.replace('{name}', name)}\r\nHost: localhost\r\n\r\n`);
  return {
    said: () => received,
    say: (text: string) => socket.write(text),
    close: () => socket.destroy(),
  };
}

/** Streams at `/events`, and repeats what it hears where it is asked to upgrade. */
const lastingSource = `
  const server = require('node:http').createServer((request, response) => {
    if (request.url !== '/events') return response.end('hello');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let count = 0;
    const timer = setInterval(() => response.write('data: ' + count++ + '\\n\\n'), 20);
    request.once('close', () => clearInterval(timer));
  });
  server.on('upgrade', (request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\nopen ');
    socket.on('data', (chunk) => socket.write('heard ' + chunk)).on('error', () => socket.destroy());
  });
  server.listen(process.env.PORT, '0.0.0.0');`;

/** Quick the first time; after that it takes longer to listen than it is given, as long as there is \`marker\`. */
function tardySource(marker: string): string {
  return `
  const fs = require('node:fs');
  const slow = fs.existsSync('${marker}');
  fs.writeFileSync('${marker}', '');
  if (slow) console.log('waking up slowly');
  setTimeout(() => require('node:http').createServer((request, response) => response.end('hello'))
    .listen(process.env.PORT, '0.0.0.0'), slow ? 60_000 : 0);`;
}

/** Notices that it was frozen, by the time that is missing, and then stands still for ever. */
const stuckSource = `
  let last = Date.now();
  setInterval(() => {
    if (Date.now() - last > 2000) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    last = Date.now();
  }, 20);
  require('node:http').createServer((request, response) => response.end('hello')).listen(process.env.PORT, '0.0.0.0');`;
