import { describe, expect, it } from 'vitest';

import { CestxError, defaultDelivery } from '#contracts';

import { backoff, judgeAnswer, readRetryAfter } from './judge-answer.ts';

const delivery = { ...defaultDelivery, retry: 3, delay: 1000, maxDelay: 5000, maxAge: 60_000 };
const judge = (status: number, attempt = 1, age = 0, retryAfter?: string) =>
  judgeAnswer({ kind: 'answered', status, retryAfter }, { attempt, age }, delivery, () => 0.5, 0);

describe('what follows from the status of an answer', () => {
  it.each([200, 201, 202, 204, 299])('%i: it is done', (status) => {
    expect(judge(status)).toEqual({ kind: 'done' });
  });
  it.each([404, 408, 409, 429, 500, 502, 503, 504, 599])('%i: it is tried again', (status) => {
    expect(judge(status)).toMatchObject({ kind: 'retry', counts: true });
  });
  it.each([301, 400, 401, 403, 405, 410, 413, 422, 499])('%i: it is final', (status) => {
    expect(judge(status)).toMatchObject({ kind: 'dead', reason: 'rejected' });
  });
});

describe('tries', () => {
  it('are one more than the retries', () => {
    expect(judge(500, 3)).toMatchObject({ kind: 'retry' });
    expect(judge(500, 4)).toMatchObject({ kind: 'dead', reason: 'attempts-used-up' });
  });
  it('end when the next one would come after the maximum age', () => {
    expect(judge(500, 1, 59_499)).toMatchObject({ kind: 'retry', delay: 500 });
    expect(judge(500, 1, 59_501)).toMatchObject({ kind: 'dead', reason: 'too-old' });
  });
  it('are not used up by what never reached the function, but its age counts', () => {
    const error = new CestxError('unavailable', 'No machine was ready in time.');
    const verdict = (age: number) =>
      judgeAnswer({ kind: 'not-tried', error }, { attempt: 4, age }, delivery, () => 0);
    expect(verdict(0)).toMatchObject({ kind: 'retry', counts: false });
    expect(verdict(60_000)).toMatchObject({ kind: 'dead', reason: 'too-old' });
  });
  it('without an answer are used up', () => {
    const error = new CestxError('function-timeout', 'It did not answer.');
    expect(judgeAnswer({ kind: 'failed', error }, { attempt: 1, age: 0 }, delivery, () => 0)).toMatchObject({
      kind: 'retry',
      counts: true,
    });
  });
});

describe('the delay before another try', () => {
  it('is anything up to a bound that doubles, with a most', () => {
    const bounds = [1, 2, 3, 4, 50].map((attempt) => backoff(attempt, delivery, () => 1));
    expect(bounds).toEqual([1000, 2000, 4000, 5000, 5000]);
    expect(backoff(3, delivery, () => 0)).toBe(0);
    expect(backoff(3, { ...delivery, backoff: 'fixed' }, () => 0)).toBe(1000);
  });
  it('is what the function asked for, in seconds or as a date', () => {
    expect(judge(429, 1, 0, '7')).toMatchObject({ delay: 7000 });
    expect(judge(503, 1, 0, 'Thu, 01 Jan 1970 00:00:09 GMT')).toMatchObject({ delay: 9000 });
    expect(readRetryAfter('soon', 0)).toBeNull();
    expect(readRetryAfter('-5', 0)).not.toBe(-5000);
    expect(judge(503, 1, 0, '3600')).toMatchObject({ kind: 'dead', reason: 'too-old' });
  });
});
