import { Column, CreateDateColumn, Entity, PrimaryColumn, VersionColumn } from 'typeorm';

import type {
  Artifact,
  BuildSettings,
  Deployment,
  EventSettings,
  ScalePatch,
  ScaleSettings,
  Settings,
} from '#contracts';

export type RunState = Deployment['state'];
export type RunStep = Deployment['steps'][number];
export type RunError = NonNullable<Deployment['error']>;

/** What a run was asked for. */
export interface RunInput {
  sourceDigest?: string | undefined;
  build?: BuildSettings | undefined;
  settings?: Settings | undefined;
  scale?: ScaleSettings | undefined;
  events?: EventSettings | undefined;
  /** What of the scale is to be another; `scale` follows from it when the run begins. */
  change?: ScalePatch | undefined;
  /** The revision that was live when the run began, and how its calls were treated. */
  previousRevision?: string | null;
  previousCalls?: { timeout: number; concurrency: number; scale: ScaleSettings } | undefined;
  previousEvents?: EventSettings | null;
  /** Builds a removal has to discard. */
  buildIds?: string[];
}

/** What steps have brought so far. */
export interface RunResults {
  template?: string;
  templateVersion?: number;
  artifact?: Artifact;
  host?: string;
}

/** One run of a saga: where it stands, what it waits for, and when to look again. */
@Entity('saga_run')
export class SagaRun {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  /** Order of arrival; runs of one function start in it. */
  @Column({ type: 'bigint', insert: false, update: false })
  sequence!: string;

  @Column({ type: 'text' })
  saga!: string;

  @Column({ name: 'saga_version', type: 'int' })
  sagaVersion!: number;

  @Column({ type: 'text' })
  project!: string;

  @Column({ name: 'function', type: 'text' })
  functionName!: string;

  @Column({ type: 'text', nullable: true })
  revision!: string | null;

  @Column({ type: 'text' })
  state!: RunState;

  @Column({ type: 'jsonb' })
  input!: RunInput;

  @Column({ type: 'jsonb' })
  results!: RunResults;

  @Column({ type: 'jsonb' })
  steps!: RunStep[];

  /** Index of the step under way. */
  @Column({ type: 'int' })
  position!: number;

  @Column({ type: 'int' })
  attempt!: number;

  /** The command whose end the run waits for; null while it pauses before another try. */
  @Column({ name: 'waiting_for', type: 'text', nullable: true })
  waitingFor!: string | null;

  @Column({ name: 'wake_at', type: 'timestamptz', nullable: true })
  wakeAt!: Date | null;

  @Column({ type: 'jsonb', nullable: true })
  error!: RunError | null;

  /** The trace the run was ordered in; everything it does belongs there. */
  @Column({ name: 'trace_headers', type: 'jsonb' })
  traceHeaders!: Record<string, string>;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @VersionColumn({ type: 'int' })
  version!: number;
}
