import { gzipSync } from 'node:zlib';

import { Header } from 'tar';
import { expect, test } from 'vitest';

import { inEachHouse } from './harness/each-house.ts';
import type { House } from './harness/house.ts';
import { packFiles, uniqueName } from './harness/sample-apps.ts';

interface Entry {
  path: string;
  type?: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO';
  linkpath?: string;
  content?: string;
}

const manifest = { path: 'function.yaml', content: 'name: evil\n' };

inEachHouse('hostile uploads', (house) => {
  test.each<[string, Entry[]]>([
    ['an absolute path', [{ path: '/etc/cestx-e2e', content: 'x' }]],
    ['a path that climbs out', [{ path: '../../cestx-e2e', content: 'x' }]],
    ['a path that climbs inside', [{ path: 'a/../../cestx-e2e', content: 'x' }]],
    ['a symbolic link', [{ path: 'link', type: 'SymbolicLink', linkpath: '/etc/passwd' }]],
    ['a hard link', [{ path: 'link', type: 'Link', linkpath: 'function.yaml' }]],
    ['a device', [{ path: 'null', type: 'CharacterDevice' }]],
    ['a pipe', [{ path: 'pipe', type: 'FIFO' }]],
    [
      'a name twice',
      [
        { path: 'a', content: '1' },
        { path: 'a', content: '2' },
      ],
    ],
    [
      'names that differ in case only',
      [
        { path: 'Readme', content: '1' },
        { path: 'README', content: '2' },
      ],
    ],
    ['too many entries', Array.from({ length: 30_000 }, (_, index) => ({ path: `f${index}` }))],
  ])('an archive with %s is refused before anything is made of it', async (_, entries) => {
    const answer = await upload(house(), archiveOf([manifest, ...entries]), 'name: evil\n');
    expect(answer).toMatchObject({ code: expect.stringMatching(/^(invalid-archive|too-large)$/) });
    expect([400, 413]).toContain(answer.status);
    expect((await house().client.listFunctions()).items.map((item) => item.name)).not.toContain('evil');
  });

  test('a small archive that unpacks to gigabytes is refused', async () => {
    const zeros = Buffer.alloc(600 * 1024 * 1024);
    const header = Buffer.alloc(512);
    new Header({ path: 'zeros', mode: 0o644, size: zeros.length, type: 'File' }).encode(header);
    const answer = await upload(
      house(),
      gzipSync(Buffer.concat([header, zeros, Buffer.alloc(1024)])),
      'name: evil\n',
    );
    expect(answer).toMatchObject({ code: expect.stringMatching(/^(invalid-archive|too-large)$/) });
  });

  test('what is no archive at all is refused in plain words', async () => {
    const answer = await upload(house(), Buffer.from('this is not a tar.gz'), 'name: evil\n');
    expect(answer).toMatchObject({ status: 400, code: 'invalid-archive' });
  });

  test.each([
    ['nam: x\n', /nam.*did you mean "name"/s],
    ['name: Not_A_Label\n', /name/],
    ['name: x\nresources: { memory: 1 }\n', /resources\.memory/],
    ['name: x\nenv: { PORT: "1" }\n', /PORT/],
    ['name: [\n', /YAML/],
  ])('the manifest %j is refused with an error that names the key', async (text, expected) => {
    const source = await packFiles({ 'index.js': '' });
    const answer = await upload(house(), source, text);
    expect(answer).toMatchObject({ status: 400, code: 'invalid-manifest' });
    expect(answer.detail).toMatch(expected);
  });

  test('a body over the limit is 413', async () => {
    const answer = await upload(house(), Buffer.alloc(80 * 1024 * 1024, 1), 'name: evil\n');
    expect(answer).toMatchObject({ status: 413, code: 'too-large' });
  });

  test('the platform works on after all that', async () => {
    const name = uniqueName('after');
    const source = await packFiles({ 'function.yaml': `name: ${name}\n`, 'index.js': '' });
    expect((await upload(house(), source, `name: ${name}\n`)).status).toBe(202);
  });
});

async function upload(house: House, archive: Buffer, manifestText: string) {
  const form = new FormData();
  form.set('manifest', manifestText);
  form.set('source', new Blob([new Uint8Array(archive)]), 'source.tar.gz');
  const answer = await fetch(`${house.url}/v1/functions`, {
    method: 'POST',
    body: form,
    headers: { authorization: `Bearer ${house.key}` },
  });
  const said = (await answer.json()) as { code?: string; detail?: string };
  return { status: answer.status, code: said.code, detail: said.detail };
}

function archiveOf(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath, content = '' }) => {
    const header = Buffer.alloc(512);
    const bytes = Buffer.from(content);
    const about = {
      path,
      type,
      mode: 0o644,
      size: bytes.length,
      mtime: new Date(0),
      ...(linkpath ? { linkpath } : {}),
    };
    new Header(about).encode(header);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}
