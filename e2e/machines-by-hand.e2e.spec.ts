import { eventually } from '#testing';
import { expect, test } from 'vitest';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { houseKinds } from './harness/house.ts';
import { uniqueName } from './harness/sample-apps.ts';

inEachHouse(
  'machines by hand',
  (house) => {
    test('a machine is measured, put to rest by hand, waited for while a call wakes it, and removed without its function', async () => {
      const { client } = house();
      const name = uniqueName('by-hand');
      await deployHello(house(), name);
      const [machine] = (await client.listMachines({ function: name })).items;
      const id = machine?.id ?? '';
      for await (const sample of client.followMachineStats(id)) {
        expect(sample).toMatchObject({ machine: id, memoryBytes: expect.any(Number) });
        break;
      }
      await eventually(async () => {
        const metrics = await (await fetch(`${house().url}/metrics`)).text();
        expect(metrics).toMatch(new RegExp(`cestx_machine_memory_bytes\\{.*machine="${id}"\\} [1-9]`));
        expect(metrics).toMatch(/cestx_host_machines\{what="taken"\} \d/);
        return true;
      });
      const { memoryBytes, machines } = await client.getCapacity();
      expect(machines.used).toBeGreaterThan(0);
      expect(memoryBytes.used).toBeLessThan(memoryBytes.total);
      for (const [verb, state] of [
        ['freeze', 'frozen'],
        ['stop', 'stopped'],
      ] as const) {
        expect(await client.moveMachine(id, verb)).toMatchObject({ state, address: null });
        const late = client.waitForMachine(id, { state: 'running', timeout: '100ms' });
        await expect(late).rejects.toMatchObject({ status: 408, code: 'wait-timeout' });
        const [awake, answer] = await Promise.all([
          client.waitForMachine(id, { state: 'running' }),
          house().call(`/function/${name}`),
        ]);
        expect([awake.id, answer.status]).toEqual([id, 200]);
      }
      expect(await client.removeMachine(id)).toMatchObject({ id, state: 'removed' });
      await expect(client.getMachine(id)).rejects.toMatchObject({ status: 404 });
      expect((await house().call(`/function/${name}`)).status).toBe(200);
      await removeAndWait(house(), name);
    });
  },
  houseKinds.slice(0, 1),
);
