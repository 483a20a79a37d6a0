import { Readable } from 'node:stream';

import { expect, it } from 'vitest';

import { readProgress } from './read-progress.ts';

const says = (...messages: object[]) => Readable.from(messages.map((one) => `${JSON.stringify(one)}\n`));

it('a layer that is removed while a build stands on it is no mistake of the source: the build is tried again', async () => {
  const stream = says(
    { stream: 'Step 2/3 : COPY source/package.json ./\n' },
    {
      error: 'failed to export image: failed to set parent sha256:ca1b: unknown parent image ID sha256:ca1b',
    },
  );
  await expect(readProgress(stream, () => undefined)).rejects.toMatchObject({
    code: 'unavailable',
    retryable: true,
  });
});

it('a step that fails is named, and not tried again', async () => {
  const stream = says(
    { stream: "Step 2/3 : RUN env CESTX_STEP='npm ci' npm ci\n" },
    { error: 'The command returned a non-zero code: 1' },
  );
  await expect(readProgress(stream, () => undefined)).rejects.toMatchObject({
    code: 'build-failed',
    message: expect.stringMatching(/^npm ci failed: /) as string,
    retryable: false,
  });
});

it('the image is the last one the engine names', async () => {
  const lines: string[] = [];
  const stream = says(
    { aux: { ID: 'sha256:1' } },
    { stream: 'Successfully built 2\n' },
    { aux: { ID: 'sha256:2' } },
  );
  expect(await readProgress(stream, (line) => lines.push(line))).toBe('sha256:2');
  expect(lines).toEqual(['Successfully built 2']);
});
