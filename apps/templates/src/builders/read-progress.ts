import type { Readable } from 'node:stream';

import { z } from 'zod';

import { explainFailure, LineSplitter } from '#builds';
import { CestxError } from '#contracts';

const lastLineCount = 20;

/** The engine's words for a layer that somebody else removed while the build stood on it. */
const layerGone = /unknown parent image ID|layer does not exist|no such image: sha256:/i;

const progressSchema = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  aux: z.object({ ID: z.string().optional() }).optional(),
});

/** Reads what the engine's builder says, gives its lines, and returns the id of the image. */
export async function readProgress(stream: Readable, log: (line: string) => void): Promise<string> {
  const lines: string[] = [];
  let step: string | undefined;
  const output = new LineSplitter((line) => {
    step = /^Step \d+\/\d+ : (.*)$/.exec(line)?.[1] ?? step;
    lines.push(line);
    if (lines.length > 200) lines.shift();
    log(line);
  });
  let id: string | undefined;
  let rest = '';
  for await (const chunk of stream) {
    const messages = (rest + String(chunk)).split('\n');
    rest = messages.pop() ?? '';
    for (const message of messages.filter((text) => text.trim() !== '')) {
      const progress = progressSchema.parse(JSON.parse(message));
      output.write(progress.stream ?? '');
      if (progress.aux?.ID) id = progress.aux.ID;
      if (progress.error !== undefined) {
        output.end();
        if (layerGone.test(progress.error)) throw cacheGone(progress.error);
        const reason = explainFailure(nameOf(step), [...lines, progress.error], progress.error.trim());
        throw new CestxError('build-failed', reason, { lastLines: lines.slice(-lastLineCount) });
      }
    }
  }
  output.end();
  if (id !== undefined) return id;
  throw new CestxError('unavailable', 'The container engine ended the build without a result.', {
    retryable: true,
  });
}

/** Another platform on the same engine made room, or its user did; nobody's mistake, and gone with another try. */
function cacheGone(detail: string): CestxError {
  return new CestxError(
    'unavailable',
    'A layer of the build was removed from the engine while it was needed.',
    {
      retryable: true,
      detail,
    },
  );
}

/** `Step 8/14 : RUN env CESTX_STEP='npm ci' …` → `npm ci`: the step that was running when it ended. */
function nameOf(step: string | undefined): string {
  const [, quoted, plain] = /^RUN env CESTX_STEP=(?:'([^']+)'|(\S+))/.exec(step ?? '') ?? [];
  return quoted ?? plain ?? (step ? `"${step.slice(0, 120)}"` : 'The build');
}
