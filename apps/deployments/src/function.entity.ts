import { Column, CreateDateColumn, Entity, PrimaryColumn, UpdateDateColumn } from 'typeorm';

import type { Artifact, EventSettings, ScaleSettings, Settings } from '#contracts';

/** A function: what is live, which run has it in hand. Its row lock puts the runs of one function in line. */
@Entity('function')
export class FunctionRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  name!: string;

  @Column({ name: 'live_revision', type: 'text', nullable: true })
  liveRevision!: string | null;

  @Column({ name: 'next_version', type: 'int' })
  nextVersion!: number;

  @Column({ name: 'active_run', type: 'text', nullable: true })
  activeRun!: string | null;

  @Column({ name: 'last_run', type: 'text' })
  lastRun!: string;

  @Column({ type: 'text', nullable: true })
  host!: string | null;

  @Column({ type: 'text', nullable: true })
  template!: string | null;

  /** How it scales and rests; null until its first revision is live. */
  @Column({ type: 'jsonb', nullable: true })
  scale!: ScaleSettings | null;

  /** What invokes it besides calls; null until its first revision is live. */
  @Column({ type: 'jsonb', nullable: true })
  events!: EventSettings | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz' })
  updatedAt!: Date;
}

/** An immutable build of a function that was live at least once. */
@Entity('revision')
export class RevisionRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  revision!: string;

  @Column({ name: 'function', type: 'text' })
  functionName!: string;

  /** The deployment that made it; also the id of its build. */
  @Column({ name: 'run_id', type: 'text' })
  runId!: string;

  @Column({ name: 'source_digest', type: 'text' })
  sourceDigest!: string;

  @Column({ type: 'text' })
  template!: string;

  /** Of a template of one's own. */
  @Column({ name: 'template_version', type: 'integer', nullable: true })
  templateVersion!: number | null;

  @Column({ type: 'jsonb' })
  artifact!: Artifact;

  @Column({ type: 'jsonb' })
  settings!: Settings;

  @Column({ type: 'text' })
  state!: 'live' | 'retired';

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}
