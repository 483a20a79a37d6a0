import { describe, expect, it } from 'vitest';

import { planBuild, sourceOf } from '#builds';

import { writeDockerfile } from './write-dockerfile.ts';

const images = { build: 'node:24-slim', run: 'node:24-slim' };

function write(scripts: Record<string, string>, withCa = false): string[] {
  const source = sourceOf({ 'package.json': { scripts }, 'package-lock.json': '{}', 'server.js': '' });
  const plan = planBuild('node', { source, functionName: 'a', args: {} });
  return writeDockerfile(plan, { images, project: 'default', withCa }).split('\n');
}

describe('the generated Dockerfile', () => {
  it('installs before it sees the code, so that a change of code installs nothing anew', () => {
    const lines = write({ start: 'node server.js' });
    const install = lines.findIndex((line) => line.includes('npm ci'));
    const copies = lines.slice(0, install).filter((line) => line.startsWith('COPY'));
    expect(copies).toEqual(['COPY --chown=65534:65534 source/package.json source/package-lock.json ./']);
    expect(lines.findIndex((line) => line === 'COPY source/ ./')).toBeGreaterThan(install);
  });

  it('copies the source first where an install script may need it', () => {
    const lines = write({ start: 'node server.js', postinstall: 'node patch.js' });
    expect(lines.indexOf('COPY --chown=65534:65534 source/ ./')).toBeLessThan(
      lines.findIndex((line) => line.includes('npm ci')),
    );
  });

  it('runs neither the build nor the program as root, and starts it without a shell', () => {
    const lines = write({ start: 'node server.js', build: 'tsc' });
    expect(
      lines.slice(
        0,
        lines.findIndex((line) => line.includes('npm ci')),
      ),
    ).toContain('USER 65534:65534');
    const stage = lines.slice(lines.lastIndexOf('FROM node:24-slim'));
    expect(stage.filter((line) => line.startsWith('USER')).at(-1)).toBe('USER 65534:65534');
    expect(stage).toContain('CMD ["node","server.js"]');
  });

  it('keeps the certificate of the build out of the stage that runs', () => {
    const lines = write({ start: 'node server.js', build: 'tsc' }, true);
    const stage = lines.lastIndexOf('FROM node:24-slim');
    expect(lines.slice(0, stage).join('\n')).toContain('NODE_EXTRA_CA_CERTS=');
    expect(lines.slice(stage).join('\n')).not.toMatch(/\bca\b|CA_CERTS/i);
  });

  it('passes no value of a manifest on to the shell or to Docker as more than a value', () => {
    const source = sourceOf({ 'package.json': { scripts: { start: 'node x.js' } } });
    const args = { A: '$(id) "quoted" $HOME\nRUN id' };
    const plan = planBuild('node', { source, functionName: 'a', args });
    const lines = writeDockerfile(plan, { images, project: 'default', withCa: false }).split('\n');
    expect(lines).toContain(String.raw`ENV A="\$(id) \"quoted\" \$HOME RUN id"`);
    expect(lines.filter((line) => line.startsWith('RUN id'))).toEqual([]);
  });

  it('runs a compiled program on an image without the compiler', () => {
    const source = sourceOf({ 'go.mod': 'module a\n', 'main.go': 'package main\nfunc main() {}\n' });
    const plan = planBuild('go', { source, functionName: 'a', args: {} });
    const lines = writeDockerfile(plan, {
      images: { build: 'go', run: 'run' },
      project: 'default',
      withCa: false,
    });
    expect(lines.split('\n').filter((line) => line.startsWith('FROM'))).toEqual([
      'FROM go AS build',
      'FROM run',
    ]);
  });
});
