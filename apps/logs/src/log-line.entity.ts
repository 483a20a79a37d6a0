import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One kept line. Of a machine's `position` there is only one, however often the feed brings it. */
@Entity('log_line')
export class LogLineRow {
  /** Grows in the order in which lines become visible: only one transaction at a time adds any. */
  @PrimaryColumn({ type: 'bigint' })
  id!: string;

  @Column({ type: 'text' })
  project!: string;

  @Column({ type: 'text' })
  function!: string;

  @Column({ type: 'text', nullable: true })
  revision!: string | null;

  @Column({ type: 'text' })
  machine!: string;

  @Column({ type: 'integer' })
  position!: number;

  @Column({ type: 'text' })
  stream!: 'stdout' | 'stderr' | 'build';

  @Column({ type: 'timestamptz' })
  timestamp!: Date;

  @Column({ type: 'text' })
  text!: string;

  @Column({ name: 'call_id', type: 'text', nullable: true })
  callId!: string | null;

  @Column({ name: 'trace_id', type: 'text', nullable: true })
  traceId!: string | null;
}
