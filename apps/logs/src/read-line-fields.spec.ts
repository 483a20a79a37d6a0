import { describe, expect, it } from 'vitest';

import { readLineFields } from './read-line-fields.ts';

const none = { callId: null, traceId: null };

describe('readLineFields', () => {
  it('finds the call and the trace of a JSON line, in either spelling', () => {
    expect(readLineFields('{"callId":"c1","traceId":"t1"}')).toEqual({ callId: 'c1', traceId: 't1' });
    expect(readLineFields('{"level":30,"call_id":"c1","trace_id":"t1","msg":"hi"}')).toEqual({
      callId: 'c1',
      traceId: 't1',
    });
  });

  it('takes any other line as it is', () => {
    for (const text of [
      '',
      'hello',
      '{',
      '{"callId":',
      '[1]',
      'null',
      '{"callId":7}',
      '{"callId":{"a":1}}',
    ]) {
      expect(readLineFields(text)).toEqual(none);
    }
  });

  it('takes nothing for an id that is too long or no token', () => {
    expect(readLineFields(JSON.stringify({ callId: 'x'.repeat(129), traceId: 'a\u0000b' }))).toEqual(none);
  });
});
