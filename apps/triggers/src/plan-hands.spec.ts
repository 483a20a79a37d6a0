import { expect, it } from 'vitest';

import { defaultScale, type EventTriggerSettings, type ScaleSettings } from '#contracts';

import { handsFor } from './plan-hands.ts';

const hands = (facts: {
  ready: number;
  concurrency?: number;
  metric?: ScaleSettings['metric'];
  trigger?: Partial<EventTriggerSettings> | null;
}) => {
  const settings = {
    kind: 'subject',
    id: 't',
    subject: ['a'],
    deliver: 'new',
    ...facts.trigger,
  } as EventTriggerSettings;
  const trigger = facts.trigger === null ? null : settings;
  const consumer = { stream: 'APP', durable: 'd', paused: false, trigger };
  const scale = { ...defaultScale, metric: facts.metric ?? 'concurrency' };
  return handsFor({ consumer }, { concurrency: facts.concurrency ?? 0, scale }, facts.ready, 64);
};

it.each([
  ['as many as each machine takes', { ready: 3, concurrency: 5 }, 15],
  ['what one takes while there is none, to wake it', { ready: 0, concurrency: 5 }, 5],
  ['a number for each machine when the function has no limit', { ready: 2 }, 128],
  ['never more than one process can hold', { ready: 1000 }, 1024],
  ['one when order was asked for', { ready: 9, trigger: { orderBy: 'subject' } }, 1],
  ['whole batches', { ready: 2, concurrency: 3, trigger: { batch: { size: 10, within: 1 } } }, 60],
  ['none by a staircase until there are machines', { ready: 0, metric: 'steps' as const, concurrency: 1 }, 0],
  ['of a staircase, what its machines take', { ready: 25, metric: 'steps' as const, concurrency: 1 }, 25],
  [
    'work for the function alone wakes it also by a staircase',
    { ready: 0, metric: 'steps' as const, concurrency: 1, trigger: null },
    1,
  ],
])('%s', (_, facts, expected) => {
  expect(hands(facts)).toBe(expected);
});
