import { describe, expect, it } from 'vitest';

import { CestxError, errorCodes, type ErrorCode } from '#contracts';

import { problemHeaders, problemOf } from './problem.ts';

describe('a problem', () => {
  it('has, for every code, a status, a title and help, and never the internal detail', () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      const problem = problemOf(new CestxError(code, 'public', { detail: 'internal secret' }));
      expect(problem).toMatchObject({ code, status: errorCodes[code].http, detail: 'public' });
      expect(problem.title.length).toBeGreaterThan(2);
      expect(problem.help.length).toBeGreaterThan(10);
      expect(JSON.stringify(problem)).not.toContain('secret');
    }
  });

  it('says when to try again where that makes sense', () => {
    const headers = (code: ErrorCode) => problemHeaders(problemOf(new CestxError(code, 'x')));
    expect(headers('busy')['retry-after']).toBe('1');
    expect(headers('unavailable')['retry-after']).toBe('1');
    expect(headers('not-found')).not.toHaveProperty('retry-after');
  });
});
