import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Artifact, DriverName } from '#contracts';

/**
 * `waiting` has had no effect yet. `discarded` is a tombstone: what was discarded is never built, however late its command
 * comes.
 */
export type BuildState = 'waiting' | 'building' | 'built' | 'failed' | 'discarded';

@Entity('build')
export class BuildRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  /** Empty for a build that was discarded before anybody asked for it. */
  @Column({ type: 'text' })
  project!: string;

  @Column({ type: 'text' })
  function!: string;

  @Column({ name: 'source_digest', type: 'text' })
  sourceDigest!: string;

  @Column({ type: 'text', nullable: true })
  template!: string | null;

  /** What the artefact followed from, as its builder says. */
  @Column({ type: 'text', nullable: true })
  content!: string | null;

  @Column({ type: 'text', nullable: true })
  driver!: DriverName | null;

  @Column({ type: 'text' })
  state!: BuildState;

  /** Several builds of the same content share one. */
  @Column({ type: 'jsonb', nullable: true })
  artifact!: Artifact | null;

  /** How often it was started; more than one means that a build was killed. */
  @Column({ type: 'integer' })
  attempts!: number;

  /** The end of its output. */
  @Column({ type: 'text' })
  log!: string;

  @Column({ name: 'changed_at', type: 'timestamptz' })
  changedAt!: Date;
}
