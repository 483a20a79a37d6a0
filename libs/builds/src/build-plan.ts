import type { SourceFile, SourceTree } from './source-tree.ts';

export const languages = ['node', 'python', 'go'] as const;
export type Language = (typeof languages)[number];

/** What a plan follows from. */
export interface PlanRequest {
  readonly source: SourceTree;
  readonly functionName: string;
  /** The function to call, for a source written against a Functions Framework. */
  readonly handler?: string | undefined;
  /** `build.args` of the manifest: environment of the phases, but for the few names a plan reads itself. */
  readonly args: Readonly<Record<string, string>>;
}

/**
 * How a source in one of the languages becomes something that starts. Plans are pure: they follow from the files and the
 * manifest alone; how commands are run, limited and cached is the builders' affair.
 */
export interface BuildPlan {
  readonly language: Language;
  /** What is built: the source without what a build makes itself, and with the files the plan adds. */
  readonly source: SourceTree;
  /** What the user should know of the choices made, for the build's log. */
  readonly notes: readonly string[];
  /** In order, each in the folder of the source. */
  readonly phases: readonly BuildPhase[];
  /** Folders of the source that come first in the PATH of phases and program. */
  readonly path: readonly string[];
  /** Environment of every phase. */
  readonly buildEnvironment: Readonly<Record<string, string>>;
  /** The program and its arguments, with the folder as working directory; `$PORT` is in its environment. */
  readonly start: readonly string[];
  /** Environment of the program, where its manifest says nothing else. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface BuildPhase {
  readonly name: 'install' | 'build' | 'prune';
  /** The files it reads; what it made is used again until one of them changes. `all` is the whole source. */
  readonly reads: 'all' | readonly string[];
  /** The folders it makes, which no other file of the source lies in; `all` when it may change anything. */
  readonly makes: 'all' | readonly string[];
  /** Programs with their arguments, one after the other. */
  readonly commands: readonly (readonly string[])[];
  /** Variables that point at folders of the project's cache, by the name of the folder in it: `{ npm_config_cache: 'npm' }`. */
  readonly caches: Readonly<Record<string, string>>;
}

export function textFile(path: string, text: string): SourceFile {
  return { path, executable: false, content: Buffer.from(text) };
}
