import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';

import { withRoom } from '#storage';

import type { MachineDriver } from './machine.driver.ts';

const traced = ['create', 'start', 'stop', 'remove', 'freeze', 'thaw'] as const;
type Traced = (typeof traced)[number];

/** The same driver, with a span around every call that changes something, so that a trace shows where the time goes. */
export function traceDriver(driver: MachineDriver): MachineDriver {
  return new Proxy(driver, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (!isTraced(property)) return value.bind(target) as unknown;
      return (...words: [string | { id: string }, ...unknown[]]) =>
        inSpan(
          `${target.name} ${property}`,
          idOf(words[0]),
          () => value.apply(target, words) as Promise<unknown>,
        );
    },
  });
}

/** Runs `work` that belongs to no trace, though something traced may have set it off: pumps, loops, probes. */
export function untraced<T>(work: () => T): T {
  return context.with(withRoom(ROOT_CONTEXT, 'machines'), work);
}

/** Runs `work` in a span that tells of one machine. */
export async function inSpan<T>(name: string, machineId: string, work: () => Promise<T>): Promise<T> {
  return trace
    .getTracer('cestx')
    .startActiveSpan(
      name,
      { kind: SpanKind.INTERNAL, attributes: { 'cestx.machine': machineId } },
      async (span) => {
        try {
          return await work();
        } catch (error) {
          span.setStatus({
            code: SpanStatusCode.ERROR,
            message: error instanceof Error ? error.message : String(error),
          });
          throw error;
        } finally {
          span.end();
        }
      },
    );
}

function isTraced(property: string | symbol): property is Traced {
  return (traced as readonly (string | symbol)[]).includes(property);
}

function idOf(word: string | { id: string }): string {
  return typeof word === 'string' ? word : word.id;
}
