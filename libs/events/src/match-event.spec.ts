import { expect, it } from 'vitest';

import { topicOfType } from './event-topic.ts';
import { matchesEvent } from './match-event.ts';

const event = { specversion: '1.0', id: '1', source: '/shop/eu', type: 'orders.created', subject: 'o-1' };

it.each<[Parameters<typeof matchesEvent>[0], boolean]>([
  [{}, true],
  [{ exact: { type: 'orders.created' } }, true],
  [{ exact: { type: 'orders.created', source: '/shop/us' } }, false],
  [{ exact: { missing: 'x' } }, false],
  [{ prefix: { source: '/shop' }, suffix: { subject: '-1' } }, true],
  [{ suffix: { subject: '-2' } }, false],
  [{ any: [{ exact: { id: '2' } }, { prefix: { type: 'orders.' } }] }, true],
  [{ any: [{ exact: { id: '2' } }] }, false],
  [{ all: [{ exact: { id: '1' } }, { not: { exact: { id: '1' } } }] }, false],
  [{ not: { exact: { missing: 'x' } } }, true],
])('%j: %s', (filter, expected) => {
  expect(matchesEvent(filter, event)).toBe(expected);
});

it.each([
  ['orders.eu.created', 'orders.eu.created'],
  ['a b.*.>', 'a%20b.%2A.%3E'],
  ['..', '%.%.%'],
  ['100%', '100%25'],
])('type %j is published on topic %j', (type, topic) => {
  expect(topicOfType(type)).toBe(topic);
});
