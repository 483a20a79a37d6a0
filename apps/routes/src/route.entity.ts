import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { ScaleSettings, Traffic } from '#contracts';

/** A function's hostname and where its calls go. */
@Entity('route')
export class RouteRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  function!: string;

  @Column({ type: 'text' })
  host!: string;

  /** Empty until the first revision is live. */
  @Column({ type: 'jsonb' })
  traffic!: Traffic;

  /** Milliseconds a call may take. */
  @Column({ type: 'double precision' })
  timeout!: number;

  /** Calls one machine takes at a time; 0 is without a limit. */
  @Column({ type: 'double precision' })
  concurrency!: number;

  @Column({ type: 'jsonb' })
  scale!: ScaleSettings;

  /** The deployment that registered it. */
  @Column({ name: 'created_by', type: 'text' })
  createdBy!: string;
}
