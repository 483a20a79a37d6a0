import { eventually } from '#testing';
import { expect, test } from 'vitest';

import type { Span } from '#client';
import { rooms } from '#contracts';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { uniqueName } from './harness/sample-apps.ts';

inEachHouse('traces', (house) => {
  test('one trace leads from the upload through every room and back', async () => {
    const name = uniqueName('trace');
    const deployment = await deployHello(house(), name);
    // Each room sends its spans by itself, so the last ones come a moment after the deployment is live.
    await eventually(async () => {
      const { spans } = await house().client.getTrace(deployment.traceId ?? '');
      expectWholeTrace(spans, deployment.traceId);
      return true;
    });
    await removeAndWait(house(), name);
  });

  test('a call continues its caller’s trace into the function', async () => {
    const name = uniqueName('call-trace');
    await deployHello(house(), name);
    const traceId = 'ab'.repeat(16);
    const answer = await house().call(`/function/${name}/headers`, {
      headers: { traceparent: `00-${traceId}-${'cd'.repeat(8)}-01` },
    });
    const received = (JSON.parse(answer.body) as { traceparent: string }).traceparent.split('-');
    expect(received[1]).toBe(traceId);
    const spans = await eventually(async () => {
      const found = (await house().client.getTrace(traceId)).spans;
      return found.some((span) => span.spanId === received[2]) && found;
    });
    expect(spans.some((span) => span.service === 'gateway' && span.kind === 'SERVER')).toBe(true);
    await removeAndWait(house(), name);
  });
});

function expectWholeTrace(spans: Span[], traceId: string | null): void {
  // The scaler has no part in a deployment.
  const atWork = rooms.filter((room) => room !== 'scaler');
  expect([...servicesOf(spans)].sort()).toEqual([...atWork].sort());
  const roots = spans.filter((span) => !spans.some((other) => other.spanId === span.parentSpanId));
  expect(roots).toMatchObject([{ kind: 'SERVER', name: expect.stringContaining('/v1/functions') }]);
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  for (const command of [
    'build-source',
    'start-machine',
    'register-route',
    'subscribe-logs',
    'set-triggers',
    'shift-traffic',
  ]) {
    const hops = spans.filter((span) => span.name.includes(command)).map((span) => span.kind);
    expect(hops, command).toEqual(expect.arrayContaining(['PRODUCER', 'CONSUMER']));
  }
}

function servicesOf(spans: Span[]): Set<string> {
  return new Set(spans.map((span) => span.service.replace(/^cestx-/, '')));
}
