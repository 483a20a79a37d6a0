import { resolve } from 'node:path';

import { type BuildPlan, chooseTemplate, type Language, languages, planBuild, startArgv } from '#builds';
import { paint } from '#client';
import { CestxError, type Manifest, parseManifest } from '#contracts';

import { buildHere, findPrograms } from './build-here.ts';
import { freePort, LocalMachine } from './local-machine.ts';
import { readManifest } from './read-manifest.ts';
import type { Session } from './session.ts';
import { readSource, WorkFolder } from './work-folder.ts';

export interface LocalRunOptions {
  port?: number;
  verbose?: boolean;
}

/**
 * Builds and runs a project here as the user who asks for it, by the plan the platform would follow, without its containers
 * and limits. Ends with Ctrl-C, which is how it ends well, or when the program ends.
 */
export async function localRun(session: Session, folder: string, options: LocalRunOptions): Promise<number> {
  const { environment, folder: here, signal, stdout, stderr } = session.surroundings;
  const project = resolve(here, folder);
  const manifest = parseManifest(await readManifest(project, folder, environment));
  const { language, plan } = await planHere(session, project, manifest);
  const work = await WorkFolder.open(project, environment);
  try {
    const programs = await findPrograms(language, environment['PATH'] ?? '');
    await buildHere(session, plan, work, { programs, verbose: options.verbose === true });
    const port = options.port ?? (await freePort());
    const machine = await LocalMachine.start({
      argv: startArgv(plan, work.path, { interpreter: '/bin/sh', programs }),
      folder: work.path,
      environment: machineEnvironment(manifest, environment),
      port,
      health: manifest.health,
      stdout: session.json ? stderr : stdout,
      stderr,
    });
    return await attend(session, machine, { manifest, language, port, signal });
  } catch (error) {
    if (signal.aborted) return 0;
    throw error;
  } finally {
    await work.close();
  }
}

async function attend(
  session: Session,
  machine: LocalMachine,
  about: { manifest: Manifest; language: Language; port: number; signal: AbortSignal },
): Promise<number> {
  const { manifest, language, port, signal } = about;
  const url = `http://localhost:${port}`;
  try {
    await machine.ready(signal);
    if (signal.aborted) return 0;
    if (session.json) session.printJson({ name: manifest.name, template: language, url });
    else {
      const running = paint('Running', 'green', session.style);
      session.print(`${running} ${manifest.name} at ${url} (Ctrl-C ends it)`);
    }
    const interrupted = new Promise<null>((end) => signal.addEventListener('abort', () => end(null)));
    const end = signal.aborted ? null : await Promise.race([machine.ended, interrupted]);
    if (end === null) return 0;
    throw new CestxError('start-failed', `${manifest.name} ${end}.`);
  } finally {
    await machine.stop();
  }
}

async function planHere(
  session: Session,
  project: string,
  manifest: Manifest,
): Promise<{ language: Language; plan: BuildPlan }> {
  const source = await readSource(project);
  const { template, reason } = chooseTemplate(source, manifest);
  const language = languages.find((name) => name === template);
  if (language === undefined) {
    throw new CestxError(
      'bad-request',
      `local-run runs ${languages.join(', ')}, and this is a project for the template ${template}; deploy it, or build and run it with your container engine.`,
    );
  }
  const plan = planBuild(language, {
    source,
    functionName: manifest.name,
    handler: manifest.handler,
    args: manifest.build.args,
  });
  for (const note of [`Template ${template}: ${reason}.`, ...plan.notes])
    if (!session.json) session.print(paint(note, 'dim', session.style));
  return { language, plan };
}

/** What a machine would have, and nothing else of this shell's: what is missing there is missing here. */
function machineEnvironment(
  manifest: Manifest,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const revision = `${manifest.name}-v0`;
  return {
    HOME: environment['HOME'] ?? '/tmp',
    ...manifest.env,
    CESTX_FUNCTION: manifest.name,
    CESTX_REVISION: revision,
    CESTX_PROJECT: 'default',
    CESTX_MACHINE: 'local',
    K_SERVICE: manifest.name,
    K_REVISION: revision,
  };
}
