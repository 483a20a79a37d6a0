import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Traffic } from '#contracts';

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

  /** The deployment that registered it. */
  @Column({ name: 'created_by', type: 'text' })
  createdBy!: string;
}
