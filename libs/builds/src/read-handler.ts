import { CestxError } from '#contracts';

import type { SourceTree } from './source-tree.ts';
import type { PlanRequest } from './build-plan.ts';

const signatures = ['http', 'cloudevent', 'event', 'typed'];

/**
 * The environment that tells a Functions Framework what to serve; undefined when the manifest names no handler. Functions
 * that register themselves know their signature; `FUNCTION_SIGNATURE_TYPE` in `build.args` is for those that do not.
 */
export function readHandler({ handler, args }: PlanRequest): Record<string, string> | undefined {
  if (handler === undefined) return undefined;
  if (!/^[\w$.-]+$/.test(handler)) {
    throw new CestxError('bad-request', `handler: "${handler}" is not the name of a function.`);
  }
  const signature = args['FUNCTION_SIGNATURE_TYPE'];
  if (signature !== undefined && !signatures.includes(signature)) {
    throw new CestxError(
      'bad-request',
      `build.args.FUNCTION_SIGNATURE_TYPE: must be one of ${signatures.join(', ')}.`,
    );
  }
  return { FUNCTION_TARGET: handler, ...(signature ? { FUNCTION_SIGNATURE_TYPE: signature } : {}) };
}

/** The names that `pattern` captures in the files of a source, each once. */
export function registeredHandlers(source: SourceTree, files: RegExp, pattern: RegExp): string[] {
  const names = source.files
    .filter((file) => files.test(file.path) && !/(^|\/)(tests?|vendor|node_modules)\//.test(file.path))
    .flatMap((file) => [...file.content.toString('utf8').matchAll(pattern)])
    .flatMap(([, name]) => name ?? []);
  return [...new Set(names)];
}
