import type { Readable } from 'node:stream';

import type Docker from 'dockerode';

import { CestxError, credentialsFor, type Registry } from '#contracts';

/**
 * Has the engine pull a built image it does not have, pinned by the digest in `reference`, and checks that it is the very
 * image: its id follows from its content, so what was built elsewhere has the same one here. A registry that does not answer
 * is tried again; one without that image is a failed start.
 */
export async function pullImage(
  docker: Docker,
  { image, reference }: { image: string; reference: string },
  registry: Registry | null,
): Promise<Docker.ImageInspectInfo> {
  try {
    const authconfig = credentialsFor(reference, registry);
    const stream = (await docker.pull(reference, authconfig ? { authconfig } : {})) as Readable;
    let text = '';
    for await (const chunk of stream) text = (text + String(chunk)).slice(-64 * 1024);
    const failed = /^\{.*"error":"(.*?)"\}?/m.exec(text)?.[1];
    if (failed !== undefined) throw new Error(failed);
  } catch (error) {
    throw explain(reference, error);
  }
  const pulled = await docker.getImage(reference).inspect();
  if (pulled.Id === image) return pulled;
  throw new CestxError(
    'start-failed',
    `What the registry has as ${reference} is not what was built; deploy the function again.`,
  );
}

function explain(reference: string, error: unknown): CestxError {
  const detail = error instanceof Error ? error.message : String(error);
  const options = { detail, cause: error };
  if (/unauthorized|authentication required|no basic auth|denied/i.test(detail)) {
    return new CestxError(
      'start-failed',
      `The registry does not let this host have ${reference}; check CESTX_REGISTRY_USER and CESTX_REGISTRY_PASSWORD.`,
      options,
    );
  }
  if (/manifest unknown|not found|name unknown|verification failed|does not match/i.test(detail)) {
    return new CestxError(
      'start-failed',
      `The registry has no ${reference} any more; deploy the function again.`,
      options,
    );
  }
  return new CestxError('unavailable', `The registry of ${reference} does not answer.`, {
    ...options,
    retryable: true,
  });
}
