import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packSource } from '#client';
import { dockerAvailable, eventually, languageImageAvailable } from '#testing';

import { root } from './harness/child.ts';
import { deployAndWait, removeAndWait } from './harness/deploy.ts';
import { House } from './harness/house.ts';
import { leftoversOf } from './harness/look-inside.ts';

/** All of them, and what `cestx new` writes for a Dockerfile, which is built nowhere else. */
const folders = new Map(
  readdirSync(join(root, 'examples'))
    // The others are several functions together, with a story of their own.
    .filter((name) => existsSync(join(root, 'examples', name, 'function.yaml')))
    .map((name) => [name, `examples/${name}`]),
);
folders.set('starter-name', 'apps/cli/starters/dockerfile-app');
const examples = [...folders.keys()];
const greets = { path: '/echo-name', body: '{"name":"Ada"}', answer: 'Hello, Ada' };
const calls: Record<string, { path: string; body?: string; answer: string }> = {
  'echo-name': greets,
  'echo-name-go': greets,
  'echo-name-python': greets,
  'hello-dockerfile': { path: '/?name=Ada', answer: 'Hello, Ada' },
  'starter-name': { path: '/?name=Ada', answer: 'Hello, Ada!' },
};
const json = { 'content-type': 'application/json' };

/** One event in both ways HTTP has for it: its attributes as headers, and all of it as the body. */
const attributes = { specversion: '1.0', type: 'order.created', source: '/shop', subject: 'orders/7' };
const deliveries = (name: string) => [
  {
    id: `${name}-binary`,
    headers: {
      ...json,
      ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`ce-${key}`, value])),
      'ce-id': `${name}-binary`,
    },
    body: '{"total":30}',
  },
  {
    id: `${name}-structured`,
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({ ...attributes, id: `${name}-structured`, data: { total: 30 } }),
  },
];

const languages = ['node', 'python', 'go'] as const;

describe.skipIf(!dockerAvailable() || !languages.every(languageImageAvailable))('the examples', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.start({ mode: 'all-in-one', driver: 'docker' });
  });
  afterAll(() => house?.stop());

  test(
    'are deployed as they are, answer calls, take events, and go without a trace',
    { timeout: 700_000 },
    async () => {
      const deployments = await Promise.all(
        [...folders].map(async ([name, folder]) => {
          const { archive } = await packSource(join(root, folder));
          const { state, error, revision } = await deployAndWait(house, archive, 300_000);
          return { name, state, error, revision };
        }),
      );
      expect(deployments).toEqual(
        examples.map((name) => ({ name, state: 'live', error: null, revision: `${name}-v1` })),
      );

      for (const name of examples) {
        const call = calls[name];
        if (name.startsWith('on-event-')) await takesEvents(house, name);
        else {
          expect(call, `examples/${name} is called nowhere`).toBeDefined();
          const options = call?.body === undefined ? {} : { body: call.body, headers: json };
          const { status, body } = await house.call(`/function/${name}${call?.path}`, options);
          expect([name, status, body.trim()]).toEqual([name, 200, call?.answer]);
        }
      }
      const metrics = await house.call('/function/echo-name-python/metrics');
      expect(metrics.body).toContain('echo_calls_total{status="200"} 1.0');

      const removed = await Promise.all(examples.map(async (name) => removeAndWait(house, name, 300_000)));
      expect(removed.map(({ state }) => state)).toEqual(examples.map(() => 'removed'));
      // Other stories beside this one deploy echo-name, too.
      for (const name of examples.filter((one) => one !== 'echo-name'))
        expect([name, await leftoversOf(house, name)]).toEqual([name, []]);
    },
  );
});

async function takesEvents(house: House, name: string): Promise<void> {
  for (const { id, headers, body } of deliveries(name)) {
    const answer = await house.call(`/function/${name}`, { headers, body });
    expect([id, answer.status, answer.body]).toEqual([
      id,
      expect.toSatisfy((status) => status >= 200 && status < 300),
      expect.anything(),
    ]);
    const line = await eventually(() => lineOf(house, name, id), { timeoutMs: 30_000 });
    expect(line).toMatch(/order\.created/);
    expect(line).toMatch(/orders\/7/);
    expect(line).toMatch(/"total": ?30/);
  }
  // The frameworks do not agree on how to refuse what is no event; none takes it.
  const nonsense = await house.call(`/function/${name}`, { headers: json, body: '{"total":30}' });
  expect([name, nonsense.status >= 400]).toEqual([name, true]);
}

async function lineOf(house: House, name: string, id: string): Promise<string> {
  const lines: string[] = [];
  for await (const { text } of house.client.logs(name, {})) lines.push(text);
  const found = lines.find((text) => text.includes(`"${id}"`));
  if (found === undefined) throw new Error(`${id} is not in the log:\n${lines.slice(-5).join('\n')}`);
  return found;
}
