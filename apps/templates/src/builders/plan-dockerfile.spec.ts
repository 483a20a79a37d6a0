import { describe, expect, it } from 'vitest';

import { checkTriggers, planDockerfile } from './plan-dockerfile.ts';

const plan = (text: string, args: Record<string, string> = {}) =>
  planDockerfile(text, { project: 'shop', args });
const after = (text: string) => plan(`FROM a:1\n${text}\n`).text.split('\n').slice(2, -1).join('\n');

describe('what the engine gets', () => {
  it('says the same on one line an instruction, without comments and directives', () => {
    const text = `# syntax=docker/dockerfile:1
# escape=\\

from node:24 AS Build
# a comment
Run apt-get update && \\
    # another
    apt-get install -y x \\

    y
COPY --chown=1:1 --link ["a b", "/x"]
FROM build
COPY --from=BUILD /x /y
CMD ["x"]`;
    expect(plan(text).text).toBe(
      [
        'FROM node:24 AS build',
        'LABEL cestx.cache=shop',
        'RUN apt-get update &&     apt-get install -y x     y',
        'COPY --chown=1:1 ["a b","/x"]',
        'FROM build',
        'LABEL cestx.cache=shop',
        'COPY --from=build /x /y',
        'CMD ["x"]',
        '',
      ].join('\n'),
    );
  });

  it('names every image in full, with the values of its arguments', () => {
    const text = `ARG TAG=24
ARG BASE="node:\${TAG:-20}-slim" FLAVOUR
FROM \${BASE} AS one
FROM registry.example:5000/team/app\${FLAVOUR:+-x} AS two
FROM scratch
COPY --from=golang /a /b
COPY --from=0 /a /b
COPY --from=two /a /b`;
    const made = plan(text);
    expect(made.images).toEqual(['node:24-slim', 'registry.example:5000/team/app:latest', 'golang:latest']);
    expect(made.text).toContain('FROM node:24-slim AS one\n');
    expect(plan(text, { TAG: '22', FLAVOUR: 'y' }).images.slice(0, 2)).toEqual([
      'node:22-slim',
      'registry.example:5000/team/app-x:latest',
    ]);
  });

  it('keeps what only a shell reads', () => {
    expect(after('RUN [ -f x ] && echo $((1<<2)) # no comment')).toBe(
      'RUN [ -f x ] && echo $((1<<2)) # no comment',
    );
    expect(after('HEALTHCHECK --interval=5s CMD x')).toBe('HEALTHCHECK --interval=5s CMD x');
    expect(after('COPY app.tar.gz /app/')).toBe('COPY app.tar.gz /app/');
  });

  it('goes without the caches of BuildKit, which make no difference to the result', () => {
    const made = plan('FROM a\nRUN --mount=type=cache,target=/root/.npm --network=default npm ci\n');
    expect(made.text).toContain('\nRUN npm ci\n');
    expect(made.notes[0]).toContain('type=cache is left out');
  });

  it('is built for this host, which is told', () => {
    const made = plan('FROM --platform=$BUILDPLATFORM a:1 AS x');
    expect(made.text).toBe('FROM a:1 AS x\nLABEL cestx.cache=shop\n');
    expect(made.notes[0]).toContain('--platform');
  });
});

it('ADD is COPY, which the engine lets neither fetch nor unpack, whatever a variable stands for', () => {
  expect(after('ARG U=http://10.0.0.1\nADD --chown=1 ${U} /x')).toContain('COPY --chown=1 ${U} /x');
  expect(plan('FROM a\nADD x /x').notes[0]).toContain('neither fetches nor unpacks');
});

describe('refused with its line and what to do is', () => {
  it.each<[string, string, string]>([
    [
      'a mount of the engine’s socket',
      'RUN --mount=type=bind,source=/var/run/docker.sock,target=/s true',
      'line 2: RUN --mount',
    ],
    ['a mount after a continuation', 'RUN \\\n  --mount=type=secret,id=x cat /run/secrets/x', 'RUN --mount'],
    ['a mount in small letters behind a comment', 'run \\\n# x\n\t--mount=type=ssh x', 'RUN --mount'],
    ['one mount behind another', 'RUN --mount=type=cache,target=/x --mount=target=/s true', 'mounts nothing'],
    ['a cache of another’s image', 'RUN --mount=type=cache,target=/x,from=y true', 'mounts nothing'],
    ['the host’s network', 'RUN --network=host curl http://127.0.0.1', 'RUN --network'],
    ['privileges', 'RUN --security=insecure mount', 'RUN --security'],
    ['an option nobody knows', 'RUN --device=/dev/kvm x', 'BuildKit'],
    ['an address to add', 'ADD http://169.254.169.254/latest /x', 'line 2: ADD fetches nothing'],
    ['an address in a list', 'ADD ["https://10.0.0.1/a", "/x"]', 'ADD fetches nothing'],
    ['an address in disguise', 'ADD "ht"tp:\\//10.0.0.1/a /x', 'ADD fetches nothing'],
    ['an address as an escaped list', 'ADD ["\\u0068ttp:\\/\\/10.0.0.1/a", "/x"]', 'ADD fetches nothing'],
    ['an address in a list with more behind it', 'ADD ["http://10.0.0.1/a", "/x"] y', 'not a JSON list'],
    ['an archive that would be unpacked without limits', 'ADD bomb.tar.xz /', 'ADD unpacks nothing'],
    ['a repository', 'ADD git@example.com:a/b.git /x', 'ADD fetches nothing'],
    [
      'an address after an option',
      'ADD --checksum=sha256:aa https://example.com/a /x',
      'ADD fetches nothing',
    ],
    ['an address for those who build on it', 'ONBUILD ADD http://10.0.0.1 /x', 'must not ADD'],
    ['a mount for those who build on it', 'ONBUILD run --mount=type=cache,target=/x y', 'RUN --mount'],
    ['a here-document', 'RUN <<EOF\nFROM x\nEOF', 'here-document'],
    ['a here-document in a file', 'COPY <<-"EOF" /x\nNONSENSE\nEOF', 'here-document'],
    [
      'an image by its id',
      'COPY --from=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /a /b',
      'not the name of an image',
    ],
    ['an image by a short id', 'COPY --from=0123456789ab /a /b', 'not the name of an image'],
    ['an image in a variable', 'COPY --from=$X /a /b', 'not the name of an image'],
    ['its own stage', 'COPY --from= /a /b', 'not the name of an image'],
    ['an option of BuildKit', 'COPY --chmod=755 a /b', 'RUN chmod'],
    ['a label of the platform', 'LABEL a=b "cestx.build"=x', 'cestx.'],
    ['an unknown instruction', 'NONSENSE x', 'line 2: there is no instruction NONSENSE'],
    ['an instruction that would swallow the next', 'RUN a \\\\', 'backslash'],
    ['a control character', 'RUN a\u0085--mount=x', 'control character'],
    ['nothing to copy', 'COPY a', 'needs what to copy'],
  ])('%s', (_, line, reason) => {
    expect(() => after(line)).toThrow(reason);
  });

  it.each<[string, string, string]>([
    ['no FROM', '# nothing\n', 'it has no FROM'],
    ['something before it', 'RUN x\nFROM a', 'before the first FROM'],
    ['another escape character', '# syntax=docker/dockerfile:1\n# escape=`\nFROM a', 'escape'],
    ['a frontend of somebody', '#syntax = evil/frontend\nFROM a', 'evil/frontend needs BuildKit'],
    ['a variable without a value', 'ARG X\nFROM ${X}', 'variable without a value'],
    ['a variable in a variable', "ARG X='$Y'\nFROM a\\$X", 'variable without a value'],
    ['an image that is an id', 'ARG X=0123456789abcdef\nFROM $X', 'not the name of an image'],
    ['an option', 'FROM --network=host a', 'no FROM --network'],
    ['words too many', 'FROM a AS b c', 'is not an image'],
  ])('%s', (_, text, reason) => {
    expect(() => plan(text)).toThrow(reason);
  });
});

it('what a base image makes of those who build on it is checked as well', () => {
  expect(() => checkTriggers('a:1', ['COPY . /app', 'RUN npm ci'])).not.toThrow();
  const hostile = ['ADD http://10.0.0.1/ /x', 'COPY --from=cestx-build:x / /', 'RUN --mount=x y', 'FROM b'];
  for (const trigger of hostile) {
    expect(() => checkTriggers('a:1', [trigger])).toThrow(`its base image a:1 adds "ONBUILD ${trigger}"`);
  }
});
