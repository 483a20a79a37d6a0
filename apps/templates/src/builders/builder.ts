import type { SourceTree, TemplateName } from '#builds';
import type { Artifact, BuildSettings, DriverName } from '#contracts';

export interface BuildRequest {
  readonly buildId: string;
  readonly project: string;
  readonly functionName: string;
  readonly sourceDigest: string;
  readonly template: TemplateName;
  /** Where the Dockerfile lies, for the template of that name; `Dockerfile` when left out. */
  readonly dockerfile?: string;
  readonly settings: BuildSettings;
  readonly source: SourceTree;
  /** Takes the build's output line by line. */
  readonly log: (line: string) => void;
  /** Aborted when the build is discarded, takes too long, or the room stops; its reason says which. */
  readonly signal: AbortSignal;
}

/** What any build may use. */
export interface BuildLimits {
  /** Bytes. */
  readonly memory: number;
  /** Cores. */
  readonly cpu: number;
  /** Bytes it may write to the disk. */
  readonly disk: number;
}

/** Software that is in an artefact, as the tools that put it there name it. */
export interface Component {
  readonly name: string;
  readonly version: string;
  /** A package URL: `pkg:npm/ms@2.1.3`. */
  readonly purl: string;
  readonly licence?: string | undefined;
}

/** A build that was planned; nothing of it has happened yet. */
export interface PreparedBuild {
  /** Follows from all that its result follows from: source, plan, settings, base images, programs. Equal means: the same artefact will do. */
  readonly content: string;
  /** Builds and verifies. What fails ends in `build-failed` with a plain reason; it may be run again. */
  run(): Promise<Artifact>;
}

/** Makes artefacts for one driver. Nothing half-made stays when a call fails or is aborted. */
export interface Builder {
  readonly driver: DriverName;
  /** Plans a build. A source that cannot be built ends in `build-failed` with a plain reason. */
  prepare(request: BuildRequest): Promise<PreparedBuild>;
  exists(artifact: Artifact): Promise<boolean>;
  /** What is in an artefact, for its bill of materials. */
  components(artifact: Artifact): Promise<readonly Component[]>;
  /** Removing what is not there is no error. */
  remove(artifact: Artifact): Promise<void>;
  /** Removes what a killed build left, but for `keep`, which is recorded and in use. */
  clear(buildId: string, keep: Artifact | null): Promise<void>;
  /** Bytes that artefacts, caches and what they rest on take where they lie. */
  diskUse(): Promise<number>;
  /**
   * Forgets what makes the next builds of these projects faster, the oldest first, until no more than `budget` bytes are taken
   * or nothing of it is left. Called while no build runs.
   */
  trimCaches(projects: readonly string[], budget: number): Promise<void>;
  /** Forgets what makes the next build of a project faster; called when the project has no builds any more. */
  clearCache(project: string): Promise<void>;
}
