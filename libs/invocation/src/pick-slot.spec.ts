import { describe, expect, it } from 'vitest';

import type { Slot } from './target.ts';
import { pickSlot } from './pick-slot.ts';

const rest = { begun: 0, vouchedUntil: 0, said: undefined, lasting: null };

function slots(...given: (Partial<Slot['endpoint']> & { calls?: number; avoidUntil?: number })[]) {
  return new Map<string, Slot>(
    given.map(({ calls = 0, avoidUntil = 0, ...endpoint }, index) => {
      const machine = endpoint.machine ?? `m${index}`;
      const whole = {
        machine,
        revision: 'a-v1',
        address: 'x:1',
        state: 'ready',
        concurrency: 0,
        ...endpoint,
      } as const;
      return [machine, { key: `default.a.${machine}`, machine, endpoint: whole, calls, avoidUntil, ...rest }];
    }),
  );
}
const all = [{ revision: 'a-v1', percent: 100 }];
const chosen = (choice: ReturnType<typeof pickSlot>) =>
  typeof choice === 'string' ? choice : choice.machine;

describe('choosing a machine', () => {
  it('takes the ready one with the least work', () => {
    expect(chosen(pickSlot(slots({ calls: 3 }, { calls: 1 }, { calls: 2 }), all, 0))).toBe('m1');
    expect(chosen(pickSlot(slots({ state: 'draining' }, { calls: 9 }), all, 0))).toBe('m1');
    expect(chosen(pickSlot(slots({ avoidUntil: 10 }, { calls: 9 }), all, 5))).toBe('m1');
  });

  it('tells a function that is full from one that has no machine', () => {
    expect(pickSlot(slots({ concurrency: 2, calls: 2 }), all, 0)).toBe('full');
    expect(pickSlot(slots({ state: 'draining' }), all, 0)).toBe('none');
    expect(pickSlot(slots({}), [], 0)).toBe('none');
    expect(pickSlot(slots({ revision: 'a-v2' }), all, 0)).toBe('none');
  });

  it('shares among idle machines instead of always taking the first', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 300; round++) {
      const name = chosen(pickSlot(slots({}, {}, {}), all, 0));
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    for (const machine of ['m0', 'm1', 'm2']) expect(counts.get(machine)).toBeGreaterThan(50);
  });

  it('splits between revisions by percent, and gives the share of one without machines to the others', () => {
    const split = [
      { revision: 'a-v1', percent: 90 },
      { revision: 'a-v2', percent: 10 },
    ];
    const both = slots({ machine: 'old' }, { machine: 'new', revision: 'a-v2' });
    let fresh = 0;
    for (let round = 0; round < 2000; round++) if (chosen(pickSlot(both, split, 0)) === 'new') fresh++;
    expect(fresh).toBeGreaterThan(120);
    expect(fresh).toBeLessThan(300);
    expect(chosen(pickSlot(slots({ machine: 'new', revision: 'a-v2' }), split, 0))).toBe('new');
    const parked = [{ revision: 'a-v1', percent: 0 }];
    expect(pickSlot(both, parked, 0)).toBe('none');
  });
});
