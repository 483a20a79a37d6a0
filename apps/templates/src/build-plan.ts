export const languages = ['node', 'python', 'go'] as const;
export type Language = (typeof languages)[number];

/**
 * How a source in one of the languages becomes something that starts. Plans are pure: they follow from the files and the
 * manifest alone; how commands are run, limited and cached is the builders' affair.
 */
export interface BuildPlan {
  readonly language: Language;
  /** In order, each in the folder of the source. */
  readonly phases: readonly BuildPhase[];
  /** What is there when the program runs: the whole folder, or (a compiled program) only these paths of it. */
  readonly keep: 'all' | readonly string[];
  /** The program and its arguments, with the folder as working directory; `$PORT` is in its environment. */
  readonly start: readonly string[];
  /** Environment of phases and program alike, such as a PATH inside the folder; `{folder}` stands for its place. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface BuildPhase {
  readonly name: 'install' | 'build' | 'prune';
  /** The files it reads; what it made is used again until one of them changes. `all` is the whole source. */
  readonly reads: 'all' | readonly string[];
  /** Programs with their arguments, one after the other. */
  readonly commands: readonly (readonly string[])[];
  /** Variables that are to point at the project's cache, by the name of the folder in it: `{ npm_config_cache: 'npm' }`. */
  readonly caches: Readonly<Record<string, string>>;
}
