import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Artifact, DriverName, Failure, Machine, Settings } from '#contracts';

/** One machine: what it should be, and what it was when last looked at. */
@Entity('machine')
export class MachineRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  @Column({ type: 'text' })
  project!: string;

  @Column({ type: 'text' })
  function!: string;

  @Column({ type: 'text' })
  revision!: string;

  @Column({ type: 'jsonb' })
  artifact!: Artifact;

  @Column({ type: 'jsonb' })
  settings!: Settings;

  @Column({ type: 'text' })
  driver!: DriverName;

  /**
   * `creating` belongs to the command that is at it. `frozen` and `stopped` machines rest until a call wakes them; a
   * `failed` one ended by itself, and is started again as long as its function is in use.
   */
  @Column({ type: 'text' })
  state!: Machine['state'];

  /** Where it can be called while it runs; kept while it is frozen. */
  @Column({ type: 'text', nullable: true })
  address!: string | null;

  /** Exits in a row that came soon after a start. */
  @Column({ type: 'int' })
  restarts!: number;

  /** Not to be started again before this. */
  @Column({ name: 'retry_at', type: 'timestamptz', nullable: true })
  retryAt!: Date | null;

  @Column({ name: 'running_since', type: 'timestamptz', nullable: true })
  runningSince!: Date | null;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  /** When it got into its state, and why. */
  @Column({ type: 'timestamptz' })
  since!: Date;

  @Column({ type: 'text', nullable: true })
  reason!: string | null;
}

/** An id that may never be started (again), whether or not there ever was a machine of it. */
@Entity('removed_machine')
export class RemovedMachineRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  /** Why its start failed, when that is what ended it. */
  @Column({ type: 'jsonb', nullable: true })
  failure!: Failure | null;

  @Column({ name: 'removed_at', type: 'timestamptz' })
  removedAt!: Date;
}
