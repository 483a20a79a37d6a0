import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { packSource } from '#client';

let count = 0;

/** A name no other test uses. */
export function uniqueName(stem: string): string {
  return `${stem}-${process.pid.toString(36)}${(count++).toString(36)}`;
}

/** Files as the tar.gz that a user would hand in. */
export async function packFiles(files: Record<string, string>): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-source-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return (await packSource(folder)).archive;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A program of one file with no dependency: the fastest thing that can be deployed. */
export function nodeApp(name: string, source: string, manifest = ''): Promise<Buffer> {
  return packFiles({
    'function.yaml': `name: ${name}\n${manifest}`,
    'package.json': JSON.stringify({
      name,
      version: '1.0.0',
      private: true,
      scripts: { start: 'node index.js' },
    }),
    'package-lock.json': JSON.stringify({
      name,
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': { name, version: '1.0.0' } },
    }),
    'index.js': source,
  });
}

/**
 * Says who it is: the version it was given and its machine. `/slow` answers after a second, `/fail` with 500,
 * `/say?text=` writes a line to its log, `/headers` shows what it received.
 */
export function helloSource(version = 'one'): string {
  return `
    const http = require('node:http');
    console.log('started ${version}');
    const server = http.createServer((request, response) => {
      const url = new URL(request.url, 'http://x');
      if (url.pathname === '/fail') { console.error('about to fail'); response.statusCode = 500; return response.end('no'); }
      if (url.pathname === '/say') { console.log(url.searchParams.get('text')); return response.end('said'); }
      if (url.pathname === '/headers') return response.end(JSON.stringify(request.headers));
      const answer = () => response.end(JSON.stringify({ version: '${version}', machine: process.env.CESTX_MACHINE, revision: process.env.CESTX_REVISION }));
      if (url.pathname === '/slow') setTimeout(answer, 1000); else answer();
    });
    server.listen(process.env.PORT, '0.0.0.0');
    process.on('SIGTERM', () => server.close(() => process.exit(0)));
  `;
}
