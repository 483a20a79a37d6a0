import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { CloudEvent } from './cloud-event.ts';
import { httpHeadersOf, readHttpEvents } from './http-binding.ts';
import { batchMediaType, eventMediaType, readJsonEvent, writeJsonEvent } from './json-format.ts';
import { natsHeadersOf, readNatsEvent } from './nats-binding.ts';

interface Example {
  id: string;
  event?: unknown;
  batch?: unknown;
}
function examples(name: string): [string, unknown][] {
  const file = new URL(`../conformance/${name}.json`, import.meta.url);
  const { tests } = JSON.parse(readFileSync(file, 'utf8')) as { tests: Example[] };
  return tests.map(({ id, event, batch }) => [id, event ?? batch]);
}
const structured = (mediaType: string, value: unknown) =>
  readHttpEvents({ 'content-type': `${mediaType}; charset=utf-8` }, Buffer.from(JSON.stringify(value)));
const origin = { stream: 'APP', sequence: 1, type: 'x', time: new Date(0) };

describe('the official examples', () => {
  it.each(examples('valid-events'))('%s is read', (_, event) => {
    expect(structured(eventMediaType, event)).toHaveLength(1);
  });
  it.each(examples('invalid-events'))('%s is refused', (_, event) => {
    expect(() => structured(eventMediaType, event)).toThrow(
      expect.objectContaining({ code: 'invalid-event' }),
    );
  });
  it.each(examples('valid-batches'))('%s is read', (_, batch) => {
    expect(structured(batchMediaType, batch)).toHaveLength((batch as unknown[]).length);
  });
  it.each(examples('invalid-batches'))('%s is refused', (_, batch) => {
    expect(() => structured(batchMediaType, batch)).toThrow(
      expect.objectContaining({ code: 'invalid-event' }),
    );
  });
});

describe('an event is the same after', () => {
  const given: CloudEvent = {
    attributes: {
      specversion: '1.0',
      id: 'ä%20"quoted" \\ 🚀',
      source: '/a/b?c#d',
      type: 'com.example.thing',
      subject: ' leading and trailing ',
      datacontenttype: 'application/json; charset=utf-8',
      myext: 'true',
    },
    data: Buffer.from('{"a": 1}'),
  };
  it('HTTP in binary mode', () => {
    expect(readHttpEvents(httpHeadersOf(given), given.data as Buffer)).toEqual([given]);
  });
  it('NATS in binary mode, where the content type is an attribute like any other', () => {
    expect(natsHeadersOf(given)).toMatchObject({ 'ce-datacontenttype': 'application/json;%20charset=utf-8' });
    expect(readNatsEvent(natsHeadersOf(given), given.data as Buffer, origin)).toEqual(given);
  });
  it.each(['application/json', 'text/plain', 'application/octet-stream'])(
    'the JSON format, with %s',
    (type) => {
      const data = type === 'application/json' ? '[1,"ü"]' : type === 'text/plain' ? 'ü' : '\u0000';
      const event = {
        attributes: { ...given.attributes, datacontenttype: type },
        data: Buffer.from(data, 'latin1'),
      };
      const bytes = type === 'application/octet-stream' ? event : { ...event, data: Buffer.from(data) };
      expect(readJsonEvent(JSON.parse(JSON.stringify(writeJsonEvent(bytes))))).toEqual(bytes);
    },
  );
});

describe('hostile events', () => {
  const core = { specversion: '1.0', id: '1', source: '/x', type: 't' };
  it.each<[string, Record<string, unknown>]>([
    ['a header in an attribute', { subject: 'a\r\nx-injected: 1' }],
    ['a NUL', { id: 'a\u0000' }],
    ['half a character', { subject: '\ud800' }],
    ['an attribute called data', { data_base64: 'AA==', data: 'x' }],
    ['an attribute of megabytes', { subject: 'x'.repeat(1_000_000) }],
    [
      'hundreds of attributes',
      Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`e${index}`, 'x'])),
    ],
    ['a prototype', JSON.parse('{"__proto__": {"x": 1}}') as Record<string, unknown>],
  ])('%s is refused', (_, more) => {
    expect(() => readJsonEvent({ ...core, ...more })).toThrow(
      expect.objectContaining({ code: 'invalid-event' }),
    );
  });
  it('the same, percent-encoded in a header', () => {
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'a%0D%0Ax:1', 'ce-source': '/x', 'ce-type': 't' };
    expect(() => readHttpEvents(headers, Buffer.alloc(0))).toThrow(/control characters/);
  });
});
