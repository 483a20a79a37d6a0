import { expect, test } from 'vitest';

import { explainNotReady } from './explain-not-ready.ts';

const container = { fixedPort: 8080, startup: 30_000 };
const address = '172.18.0.2:8080';

test('a program that ends at once is told how it ended', () => {
  const exit = { code: 1, reason: 'exited with code 1', portTaken: false, withPlatform: false };
  expect(explainNotReady({ kind: 'exited', exit, address: null }, container)).toBe(
    'The program exited with code 1 before it listened on $PORT (8080).',
  );
});

test('a program that never listens is told so', () => {
  expect(explainNotReady({ kind: 'silent', address, listeners: [] }, container)).toBe(
    'The program listened on no port within 30 s; it must listen on $PORT (8080).',
  );
});

test('a program on the wrong port is told which it is and which it should be', () => {
  const listeners = [{ port: 3000, reachable: true }];
  expect(explainNotReady({ kind: 'silent', address, listeners }, container)).toBe(
    'The program listens on 3000 instead of 8080; it must listen on the port in $PORT.',
  );
});

test('a program that listens on loopback only is told the address to use', () => {
  const listeners = [{ port: 8080, reachable: false }];
  expect(explainNotReady({ kind: 'silent', address, listeners }, container)).toContain(
    'it must listen on 0.0.0.0:8080',
  );
});

test('where every machine has a port of its own, that one is named', () => {
  const listeners = [{ port: 3000, reachable: true }];
  expect(
    explainNotReady(
      { kind: 'silent', address: '127.0.0.1:20123', listeners },
      { fixedPort: null, startup: 1000 },
    ),
  ).toContain('listens on 3000 instead of 20123');
});

test('a health path that answers wrongly is told with its status', () => {
  expect(explainNotReady({ kind: 'unhealthy', address, path: '/_/health', status: 503 }, container)).toBe(
    'The program listens, but GET /_/health still answered 503 after 30 s; a 2xx is needed.',
  );
});
