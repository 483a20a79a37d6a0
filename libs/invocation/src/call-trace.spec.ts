import { describe, expect, it } from 'vitest';

import { readTraceparent, TraceBudget, traceCall } from './call-trace.ts';

const call = { method: 'GET', function: 'a', project: 'default', callId: 'c', path: '/' };
const id = 'ab'.repeat(16);

describe('the trace of a call', () => {
  it('keeps the trace of the caller and starts one where there is none', () => {
    const kept = traceCall(`00-${id}-${'cd'.repeat(8)}-00`, call, new TraceBudget(0));
    expect(kept.traceparent).toMatch(new RegExp(`^00-${id}-[0-9a-f]{16}-00$`));
    expect(kept.sending('m1')).toContain(id);
    const fresh = traceCall(undefined, call, new TraceBudget(0));
    expect(readTraceparent(fresh.traceparent)?.sampled).toBe(false);
  });

  it('takes a malformed traceparent for none', () => {
    for (const wrong of [
      'x',
      `00-${'0'.repeat(32)}-${'cd'.repeat(8)}-01`,
      `01-${id}-${'cd'.repeat(8)}`,
      `00-${id.toUpperCase()}-${'cd'.repeat(8)}-01`,
    ]) {
      expect(readTraceparent(wrong), wrong).toBeUndefined();
    }
  });

  it('lets only so many begin each second', () => {
    const budget = new TraceBudget(2);
    expect([budget.take(1000), budget.take(1001), budget.take(1002), budget.take(2000)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });
});
