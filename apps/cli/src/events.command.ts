import { randomUUID } from 'node:crypto';

import { harmless } from '#client';

import { UsageError } from './explain-error.ts';
import { isJsonText, isPlainText, readData } from './read-data.ts';
import type { Session } from './session.ts';

export interface PublishOptions {
  data?: string;
  source: string;
  subject?: string;
  id?: string;
  attribute?: string[];
  contentType?: string;
}

/** Publishes one CloudEvent; its bytes go as they are. */
export async function publishEvent(session: Session, type: string, options: PublishOptions): Promise<number> {
  const data = options.data === undefined ? undefined : await readData(options.data, session.surroundings);
  const { items } = await session.client.publishEvents([
    {
      ...Object.fromEntries((options.attribute ?? []).map(readAttribute)),
      specversion: '1.0',
      id: options.id ?? randomUUID(),
      source: options.source,
      type,
      time: new Date().toISOString(),
      ...(options.subject === undefined ? {} : { subject: options.subject }),
      ...(data === undefined
        ? {}
        : {
            datacontenttype: options.contentType ?? contentTypeOf(data),
            data_base64: data.toString('base64'),
          }),
    },
  ]);
  for (const item of items) {
    if (session.json) session.printJson(item);
    else session.print(`Published ${harmless(item.id)} on ${harmless(item.subject)}`);
  }
  return 0;
}

const ofTheirOwn = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'data',
]);

function readAttribute(text: string): [string, string] {
  const [, name, value] = /^([a-z0-9]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new UsageError(
      `"${text}" is not an attribute; write --attribute name=value, the name in small letters and digits.`,
    );
  if (ofTheirOwn.has(name))
    throw new UsageError(
      `"${name}" is no attribute of your own; see --id, --source, --subject, --data and --content-type.`,
    );
  return [name, value];
}

function contentTypeOf(data: Buffer): string {
  if (isJsonText(data)) return 'application/json';
  return isPlainText(data) ? 'text/plain' : 'application/octet-stream';
}
