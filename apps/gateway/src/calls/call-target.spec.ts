import { describe, expect, it } from 'vitest';

import { readCallTarget } from './call-target.ts';

const read = (url: string, host?: string) => readCallTarget(url, host, 'localhost');

describe('what a request asks for', () => {
  it('is a call of the function whose hostname it names, whatever the port and case', () => {
    for (const host of ['echo.localhost', 'Echo.LOCALHOST:8080', 'echo.localhost.']) {
      expect(read('/v1/functions?x', host)).toMatchObject({
        kind: 'host',
        name: 'echo.localhost',
        path: '/v1/functions?x',
      });
    }
  });

  it('is a call of the function whose name is in the path, which the function does not see', () => {
    expect(read('/function/echo', 'localhost')).toMatchObject({ kind: 'function', name: 'echo', path: '/' });
    expect(read('/function/echo/', 'x')).toMatchObject({ path: '/' });
    expect(read('/function/echo/a/b?c=d', 'x')).toMatchObject({ path: '/a/b?c=d' });
    expect(read('/function/echo?c=d', 'x')).toMatchObject({ path: '/?c=d' });
  });

  it('believes a target with a host of its own before the Host header', () => {
    expect(read('http://echo.localhost/a', 'localhost')).toMatchObject({
      kind: 'host',
      name: 'echo.localhost',
      path: '/a',
    });
    expect(read('http://localhost?x', 'echo.localhost')).toMatchObject({ kind: 'control' });
  });

  it('is for the control plane otherwise', () => {
    expect(read('/v1/functions', 'localhost')).toEqual({ kind: 'control' });
    expect(read('/functions', '127.0.0.1:8080')).toEqual({ kind: 'control' });
    expect(read('/', undefined)).toEqual({ kind: 'control' });
    expect(read('/', 'evillocalhost')).toEqual({ kind: 'control' });
  });

  it('is refused when it is neither', () => {
    for (const url of [
      '*',
      'example.com:443',
      '/function/',
      '/function//x',
      '/function/Not_A_Label',
      '/function/a%2fb',
      'ftp://echo.localhost/',
    ]) {
      expect(read(url, 'localhost').kind, url).toBe('wrong');
    }
  });
});
