import { describe, expect, it } from 'vitest';

import { readerOf, sortComponents } from './find-components.ts';

const found = (path: string, content: string | Buffer, executable = false) => {
  const bytes = Buffer.from(content);
  return readerOf({ path, executable, size: bytes.length })?.(bytes).map(({ purl, licence }) => [
    purl,
    licence,
  ]);
};

describe('components are read from', () => {
  it('installed npm packages, scoped ones too, and nothing that only looks like one', () => {
    const manifest = JSON.stringify({ name: '@a/b', version: '1.0.0', license: 'MIT' });
    expect(found('app/node_modules/@a/b/package.json', manifest)).toEqual([['pkg:npm/%40a/b@1.0.0', 'MIT']]);
    expect(found('node_modules/x/package.json', '{"name":"x"}')).toEqual([]);
    expect(found('node_modules/x/package.json', 'null')).toEqual([]);
    expect(found('node_modules/x/package.json', '{')).toEqual([]);
    expect(found('package.json', manifest)).toBeUndefined();
    expect(found('node_modules/x/dist/package.json', manifest)).toBeUndefined();
  });

  it('installed Python packages', () => {
    const metadata =
      'Metadata-Version: 2.1\nName: Flask_Cors\nVersion: 3.1\nLicense-Expression: BSD-3-Clause\n\nName: no\n';
    expect(found('.venv/lib/python3.13/site-packages/flask_cors-3.1.dist-info/METADATA', metadata)).toEqual([
      ['pkg:pypi/flask-cors@3.1', 'BSD-3-Clause'],
    ]);
  });

  it('the databases of Debian and Alpine', () => {
    const status =
      'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.41-12\nDescription: x\n y: z\n\nPackage: old\nStatus: deinstall ok config-files\nVersion: 1\n';
    expect(found('var/lib/dpkg/status', status)).toEqual([
      ['pkg:deb/debian/libc6@2.41-12?arch=amd64', undefined],
    ]);
    expect(found('lib/apk/db/installed', 'P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\n')).toEqual([
      ['pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64', 'MIT'],
    ]);
  });

  it('programs in Go, with what replaces a module', () => {
    const text = `${'s'.repeat(16)}path\tx\nmod\tx\t(devel)\ndep\tgithub.com/a/b\tv1.0.0\th1:x\ndep\tgithub.com/c/d\tv1.0.0\n=>\tgithub.com/c/e\tv2.0.0\th1:y\n${'e'.repeat(16)}`;
    const header = Buffer.alloc(32);
    header.write('\xff Go buildinf:', 'latin1');
    header[15] = 2;
    const long = Buffer.from([(text.length & 0x7f) | 0x80, text.length >> 7]);
    const program = Buffer.concat([
      Buffer.from('ELF…'),
      header,
      Buffer.from('\x08go1.26.8'),
      long,
      Buffer.from(text),
    ]);
    expect(found('bin/app', program, true)).toEqual([
      ['pkg:golang/stdlib@1.26.8', undefined],
      ['pkg:golang/github.com/a/b@v1.0.0', undefined],
      ['pkg:golang/github.com/c/e@v2.0.0', undefined],
    ]);
    expect(found('bin/app', program.subarray(0, 60), true)).toEqual([
      ['pkg:golang/stdlib@1.26.8', undefined],
    ]);
    expect(found('bin/sh', 'no Go', true)).toEqual([]);
  });
});

it('a component is told once', () => {
  const b = { name: 'b', version: '1', purl: 'pkg:npm/b@1' };
  const a = { name: 'a', version: '1', purl: 'pkg:npm/a@1' };
  expect(sortComponents([b, a, b])).toEqual([a, b]);
});
