import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

import { Objm, StorageType, type ObjectStore } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';

import { CestxError } from '#contracts';

import { Objects, type StoredObject } from './objects.ts';

const bucket = 'cestx-sources';

/** Objects in a JetStream object store: nothing to set up beside the broker. */
export class JetStreamObjects extends Objects {
  readonly #connection: NatsConnection;
  #store: Promise<ObjectStore> | undefined;

  constructor(connection: NatsConnection) {
    super();
    this.#connection = connection;
  }

  async put(name: string, data: Readable): Promise<{ size: number }> {
    const store = await this.#open();
    try {
      // Chunks come out as Buffers; the store reads plain byte arrays.
      const info = await store.put({ name }, Readable.toWeb(data) as ReadableStream<Uint8Array>);
      return { size: info.size };
    } catch (error) {
      throw asFull(error);
    }
  }

  async get(name: string): Promise<Readable | null> {
    const store = await this.#open();
    const found = await store.get(name);
    if (!found) return null;
    return Readable.fromWeb(found.data as NodeReadableStream<Uint8Array>);
  }

  async exists(name: string): Promise<boolean> {
    const info = await (await this.#open()).info(name);
    return info !== null && !info.deleted;
  }

  async remove(name: string): Promise<void> {
    if (await this.exists(name)) await (await this.#open()).delete(name);
  }

  async list(prefix = ''): Promise<StoredObject[]> {
    const items = await (await this.#open()).list();
    return items
      .filter(({ deleted, name }) => !deleted && name.startsWith(prefix))
      .map(({ name, size, mtime }) => ({ name, size, modifiedAt: new Date(mtime) }));
  }

  #open(): Promise<ObjectStore> {
    this.#store ??= new Objm(this.#connection)
      .create(bucket, { storage: StorageType.File })
      .catch((error: unknown) => {
        this.#store = undefined;
        throw asFull(error);
      });
    return this.#store;
  }
}

/** The broker refuses before its disk is really full; both are told alike. */
function asFull(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error);
  if (!/insufficient (storage|resources)|no space left|maximum bytes exceeded/i.test(text)) return error;
  return new CestxError('disk-full', 'The disk of the object store is full; nothing was kept.', {
    cause: error,
    detail: text,
  });
}
