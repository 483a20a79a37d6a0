import { resolve } from 'node:path';

import {
  DeploymentProgress,
  packSource,
  paint,
  renderDuration,
  renderFailure,
  type Accepted,
  type Deployment,
} from '#client';
import { errorCodes, parseManifest } from '#contracts';

import { UsageError } from './explain-error.ts';
import { readManifest } from './read-manifest.ts';
import type { Session } from './session.ts';

export interface DeployOptions {
  verbose?: boolean;
  /** The address of a repository; the folder is one in it then. */
  git?: string;
  ref?: string;
  /** What the function is called, where there is no function.yaml. */
  name?: string;
}

/** Hands in a folder, or says where in git it is, and tells each step while it happens. */
export async function deploy(
  session: Session,
  folder: string | undefined,
  options: DeployOptions,
): Promise<number> {
  const { style } = session;
  const startedAt = new Date();
  const { deploymentId, function: name } = await (options.git === undefined
    ? handIn(session, folder ?? '.', options)
    : handInFromGit(session, folder, { ...options, git: options.git }));
  const ended = await follow(session, deploymentId, {
    cancels: true,
    alongside: (progress, signal) =>
      options.verbose ? tellBuildLines(session, name, startedAt, progress, signal) : undefined,
  });
  if (session.json) session.printJson(ended);
  else if (ended.state === 'live') {
    const took = renderDuration(Date.now() - startedAt.getTime());
    session.print(
      `${paint('Live', 'green', style)} at ${ended.url ?? `${session.url}/function/${name}`} as ${ended.revision} after ${took}`,
    );
    if (ended.traceId) session.print(paint(`cestx trace ${ended.traceId}`, 'dim', style));
  }
  return ended.state === 'live' ? 0 : 1;
}

async function handIn(
  session: Session,
  folder: string,
  { ref, name: called }: DeployOptions,
): Promise<Accepted> {
  if (ref !== undefined) throw new UsageError('--ref is for a source from git; name it by --git.');
  const { client, surroundings } = session;
  const source = resolve(surroundings.folder, folder);
  const manifest = await readManifest(source, folder, surroundings.environment, called);
  const { name } = parseManifest(manifest);
  const { archive, files } = await packSource(source);
  if (!session.json) {
    session.print(
      `Deploying ${name} from ${folder} (${files.length} files, ${Math.ceil(archive.length / 1024)} kB)`,
    );
  }
  return await client.deployFunction({ source: archive, manifest });
}

async function handInFromGit(
  session: Session,
  folder: string | undefined,
  { git, ref, name }: DeployOptions & { git: string },
): Promise<Accepted> {
  if (!session.json) session.print(`Deploying ${[git, folder, ref].filter(Boolean).join(' ')}`);
  return await session.client.deployFromGit({ git, ref, folder, name });
}

interface FollowOptions {
  /** Ctrl-C cancels the deployment, which is then followed to its end; else it only ends the following. */
  cancels?: boolean;
  /** The deployment is being cancelled: that it was is no failure to tell. */
  cancelled?: boolean;
  alongside?: (progress: DeploymentProgress, signal: AbortSignal) => Promise<void> | undefined;
}

/** Shows a deployment until it ended; a failure is told with its reason and the last lines of its log. */
export async function follow(
  session: Session,
  deploymentId: string,
  options: FollowOptions = {},
): Promise<Deployment> {
  const { client, style, surroundings } = session;
  const quiet = session.json;
  const progress = new DeploymentProgress({
    write: (text) => void (quiet || surroundings.stdout.write(text)),
    style,
    live: !quiet && surroundings.stdout.isTTY === true,
  });
  const over = new AbortController();
  const interrupted = surroundings.signal;
  const signal = options.cancels ? over.signal : AbortSignal.any([interrupted, over.signal]);
  let refused: unknown;
  const cancel = () => {
    const text = `cancelling ${deploymentId} (Ctrl-C again to leave it)`;
    if (quiet) session.tell(text);
    else progress.note(text);
    client.cancelDeployment(deploymentId).catch((error: unknown) => {
      refused = error;
      over.abort();
    });
  };
  if (options.cancels && interrupted.aborted) cancel();
  else if (options.cancels) interrupted.addEventListener('abort', cancel, { once: true });
  const beside = options.alongside?.(progress, signal);
  let last: Deployment | null = null;
  try {
    for await (const deployment of client.followDeployment(deploymentId, { signal })) {
      last = deployment;
      progress.show(deployment);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    interrupted.removeEventListener('abort', cancel);
    progress.end();
    over.abort();
    await beside;
  }
  if (refused) throw refused;
  if ((!options.cancels && interrupted.aborted) || !last) {
    session.tell(`Deployment ${deploymentId} goes on by itself; \`cestx describe\` shows how it ended.`);
    return last ?? client.getDeployment(deploymentId);
  }
  if (last.error && !quiet && !(options.cancelled && last.error.code === 'cancelled')) {
    session.tell(renderFailure(last.error, errorCodes[last.error.code].help, style));
    if (last.traceId) session.tell(paint(`cestx trace ${last.traceId}`, 'dim', style));
  }
  return last;
}

/** The build's lines as they come. A first deploy has no log to follow until it is subscribed, so it asks again. */
async function tellBuildLines(
  session: Session,
  name: string,
  since: Date,
  progress: DeploymentProgress,
  signal: AbortSignal,
): Promise<void> {
  let after = '';
  while (!signal.aborted) {
    try {
      for await (const line of session.client.logs(name, {
        follow: true,
        since: since.toISOString(),
        signal,
      })) {
        if (line.stream !== 'build' || Number(line.cursor) <= Number(after)) continue;
        after = line.cursor;
        if (!session.json) progress.note(`    ${paint(line.text, 'dim', session.style)}`);
      }
    } catch {
      // Not there yet, or the deployment has ended; its own state says what matters.
    }
    if (!signal.aborted) await new Promise((wake) => setTimeout(wake, 200));
  }
}
