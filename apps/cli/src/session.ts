import type { Readable, Writable } from 'node:stream';

import { createClient, styleFor, type Client, type Style } from '#client';

import { findKey } from './find-key.ts';

/** What the program was started with; only `main.ts` takes it from the process. */
export interface Surroundings {
  environment: Readonly<Record<string, string | undefined>>;
  folder: string;
  stdin: Readable & { fd?: number };
  stdout: Screen;
  stderr: Screen;
  /** Ctrl-C. */
  signal: AbortSignal;
}

export type Screen = Writable & { isTTY?: boolean; columns?: number };

export interface CommonOptions {
  json?: boolean;
  url?: string;
}

/** One run of one command: whom it talks to and where it writes. */
export interface Session {
  client: Client;
  url: string;
  json: boolean;
  style: Style;
  surroundings: Surroundings;
  /** Writes one line to stdout. */
  print(text: string): void;
  /** The command's result as JSON, indented for a reader on a terminal. */
  printJson(value: unknown): void;
  /** Writes one line to stderr. */
  tell(text: string): void;
}

const defaultUrl = 'http://localhost:8080';

export async function openSession(options: CommonOptions, surroundings: Surroundings): Promise<Session> {
  const { environment, stdout, stderr } = surroundings;
  const url = (options.url ?? (environment['CESTX_URL'] || defaultUrl)).replace(/\/+$/, '');
  const found = await findKey(environment, surroundings.folder);
  return {
    client: createClient({ url, key: found?.key }),
    url,
    json: options.json === true,
    style: styleFor(stdout, environment),
    surroundings,
    print: (text) => void stdout.write(`${text}\n`),
    printJson: (value) => void stdout.write(`${JSON.stringify(value, null, stdout.isTTY ? 2 : 0)}\n`),
    tell: (text) => void stderr.write(`${text}\n`),
  };
}
