import { context, ROOT_CONTEXT } from '@opentelemetry/api';

import { failpoint } from '#messaging';
import { inSpan, withRoom } from '#storage';

import type { MachineDriver } from './machine.driver.ts';

const traced = ['create', 'start', 'stop', 'remove', 'freeze', 'thaw'] as const;
type Traced = (typeof traced)[number];

/**
 * The same driver, with a span around every call that changes something, so that a trace shows where the time goes; before
 * and behind it tests of bad days may break the room (`driver-freeze:after-effect:kill`).
 */
export function traceDriver(driver: MachineDriver): MachineDriver {
  return new Proxy(driver, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (!isTraced(property)) return value.bind(target) as unknown;
      return (...words: [string | { id: string }, ...unknown[]]) =>
        inMachineSpan(`${target.name} ${property}`, idOf(words[0]), async () => {
          failpoint(`driver-${property}`, 'before-effect');
          const result: unknown = await value.apply(target, words);
          failpoint(`driver-${property}`, 'after-effect');
          return result;
        });
    },
  });
}

/** Runs `work` that belongs to no trace, though something traced may have set it off: pumps, loops, probes. */
export function untraced<T>(work: () => T): T {
  return context.with(withRoom(ROOT_CONTEXT, 'machines'), work);
}

/** Runs `work` in a span that tells of one machine. */
export function inMachineSpan<T>(name: string, machineId: string, work: () => Promise<T>): Promise<T> {
  return inSpan(name, { attributes: { 'cestx.machine': machineId } }, work);
}

function isTraced(property: string | symbol): property is Traced {
  return (traced as readonly (string | symbol)[]).includes(property);
}

function idOf(word: string | { id: string }): string {
  return typeof word === 'string' ? word : word.id;
}
