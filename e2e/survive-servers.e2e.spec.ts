import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { deployHello, removeAndWait, waitForEnd } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import type { House } from './harness/house.ts';
import { leftoversOf, runningMachinesOf } from './harness/look-inside.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

inEachHouse('nats-server and PostgreSQL killed', (house) => {
  for (const part of ['nats', 'postgres'] as const) {
    test.each([50, 300, 700])(
      `${part} dies %i ms into a deploy and comes back: the saga ends live`,
      async (after) => {
        const name = uniqueName(`${part}-dies`);
        await deployHello(house(), name, 'old');
        const { deploymentId } = await house().client.deployFunction({
          source: await nodeApp(name, helloSource('new')),
        });
        await new Promise((wake) => setTimeout(wake, after));
        await killServer(house(), part);
        await house().ready();
        expect(await waitForEnd(house(), deploymentId)).toMatchObject({ state: 'live' });
        expect(JSON.parse((await house().call(`/function/${name}`)).body)).toMatchObject({ version: 'new' });
        expect(await runningMachinesOf(name)).toHaveLength(1);
        await removeAndWait(house(), name);
        expect(await leftoversOf(house(), name)).toEqual([]);
      },
    );
  }

  test('a call is answered while both are away', async () => {
    const name = uniqueName('hot');
    await deployHello(house(), name);
    const kills = Promise.all([killServer(house(), 'nats'), killServer(house(), 'postgres')]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => house().call(`/function/${name}`)));
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 200));
    await kills;
    await house().ready();
    await removeAndWait(house(), name);
  });
});

/** SIGKILL. Alone the servers are started again by us, as an operator's supervisor would; all-in-one does it itself. */
async function killServer(house: House, part: 'nats' | 'postgres'): Promise<void> {
  if (house.servers) {
    await (part === 'nats' ? house.servers.restartNats() : house.servers.restartPostgres());
    return;
  }
  process.kill(part === 'nats' ? await natsPid(house) : await postgresPid(house), 'SIGKILL');
}

async function postgresPid(house: House): Promise<number> {
  const text = await readFile(join(house.serverData, 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

async function natsPid(house: House): Promise<number> {
  const configuration = join(house.serverData, 'nats', 'nats-server.conf');
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const words = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.includes(configuration) && words[0]?.endsWith('nats-server')) return Number(entry);
  }
  throw new Error('no nats-server of this house runs');
}
