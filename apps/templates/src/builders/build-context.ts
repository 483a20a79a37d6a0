import { dirname } from 'node:path/posix';

import {
  findFile,
  languages,
  type Language,
  planBuild,
  type SourceFile,
  type SourceTree,
  textOf,
} from '#builds';
import { CestxError } from '#contracts';

import type { BaseImages } from './base-images.ts';
import type { BuildRequest } from './builder.ts';
import { withoutIgnored } from './docker-ignore.ts';
import { checkTriggers, planDockerfile } from './plan-dockerfile.ts';
import { readCaFile } from './read-ca-file.ts';
import { contextPaths, writeDockerfile } from './write-dockerfile.ts';

/** What the engine is given to build. */
export interface BuildContext {
  readonly tree: SourceTree;
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  /** The images it starts from, as they are now. */
  readonly baseIds: readonly string[];
}

/** Of images that were made for a function: they are its project's, and nobody else's to build on. */
export const buildLabel = 'cestx.build';

export interface ContextOptions {
  readonly images: BaseImages;
  readonly caFile: string | undefined;
}

/** Nothing the user hands in reaches the engine but through here: files that were checked, and a Dockerfile we wrote. */
export async function makeContext(request: BuildRequest, options: ContextOptions): Promise<BuildContext> {
  const language = languages.find((name) => name === request.template);
  return language === undefined
    ? await dockerfileContext(request, options)
    : await languageContext(request, language, options);
}

async function languageContext(
  request: BuildRequest,
  language: Language,
  { images, caFile }: ContextOptions,
): Promise<BuildContext> {
  const { source, functionName, project } = request;
  const { handler, args } = request.settings;
  const plan = planBuild(language, { source, functionName, handler, args });
  for (const note of plan.notes) request.log(note);
  const names = await images.of(language);
  const bases = await Promise.all([names.build, names.run].map((name) => images.get(name, request)));
  const text = writeDockerfile(plan, { images: names, project, withCa: caFile !== undefined });
  const inSource = (path: string) => `${contextPaths.source}/${path}`;
  const files: SourceFile[] = plan.source.files.map((file) => ({ ...file, path: inSource(file.path) }));
  files.push({ path: contextPaths.dockerfile, executable: false, content: Buffer.from(text) });
  if (caFile !== undefined) {
    files.push({ path: contextPaths.ca, executable: false, content: await readCaFile(caFile) });
  }
  return {
    tree: { folders: plan.source.folders.map(inSource), files },
    dockerfile: contextPaths.dockerfile,
    // A plan has its arguments in its phases.
    args: {},
    baseIds: bases.map(({ Id }) => Id),
  };
}

async function dockerfileContext(request: BuildRequest, { images }: ContextOptions): Promise<BuildContext> {
  const { source, settings } = request;
  if (settings.handler !== undefined) {
    throw new CestxError(
      'bad-request',
      '"handler" in function.yaml is for the templates of languages; a Dockerfile says itself what it starts.',
    );
  }
  const path = request.dockerfile ?? 'Dockerfile';
  const text = textOf(source, path);
  if (text === undefined) {
    throw new CestxError('build-failed', 'There is no Dockerfile at the top of the source.');
  }
  const plan = planDockerfile(text, { project: request.project, args: settings.args });
  for (const note of plan.notes) request.log(note);
  const baseIds: string[] = [];
  for (const name of plan.images) {
    const { Id, Config } = await images.get(name, request);
    if (Config.Labels?.[buildLabel] !== undefined) {
      throw new CestxError(
        'build-failed',
        `The Dockerfile cannot be built: ${name} was made for a function, and nobody builds on it.`,
      );
    }
    checkTriggers(name, onBuild(Config));
    baseIds.push(Id);
  }
  const sent = [path, '.dockerignore'];
  const ignore = findFile(source, '.dockerignore');
  const { folders, files } = withoutIgnored(source, ignore?.content.toString('utf8') ?? '');
  // A template lies in a folder of its own, of which the source's author knows nothing.
  const template = request.dockerfile === undefined ? [] : filesIn(source, dirname(path));
  const left = new Set([...files, ...template].filter((file) => !sent.includes(file.path)));
  const own = { path, executable: false, content: Buffer.from(plan.text) };
  return {
    // Both are sent even if they are ignored: the engine leaves them out of what is copied.
    tree: { folders, files: [...left, own, ...(ignore ? [ignore] : [])] },
    dockerfile: path,
    args: settings.args,
    baseIds,
  };
}

function filesIn({ files }: SourceTree, folder: string): SourceFile[] {
  return files.filter((file) => file.path.startsWith(`${folder}/`));
}

function onBuild(config: { OnBuild?: unknown }): string[] {
  return Array.isArray(config.OnBuild) ? config.OnBuild.map(String) : [];
}
