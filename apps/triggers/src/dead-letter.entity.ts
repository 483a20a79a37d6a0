import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { DeadLetter } from '#contracts';

/** An event that failed for good, as it was when it came. */
@Entity('dead_letter')
export class DeadLetterRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  @Column({ type: 'text' })
  project!: string;

  @Column({ name: 'function', type: 'text' })
  function!: string;

  @Column({ type: 'text', nullable: true })
  trigger!: string | null;

  @Column({ name: 'event_id', type: 'text' })
  eventId!: string;

  @Column({ name: 'event_type', type: 'text' })
  eventType!: string;

  @Column({ type: 'text' })
  reason!: DeadLetter['reason'];

  @Column({ type: 'text' })
  message!: string;

  @Column({ type: 'int' })
  attempts!: number;

  @Column({ name: 'last_status', type: 'int', nullable: true })
  lastStatus!: number | null;

  @Column({ name: 'last_body', type: 'text', nullable: true })
  lastBody!: string | null;

  @Column({ type: 'text' })
  stream!: string;

  @Column({ type: 'bigint' })
  sequence!: string;

  @Column({ type: 'text' })
  subject!: string;

  @Column({ type: 'jsonb' })
  headers!: Record<string, string>;

  @Column({ type: 'bytea' })
  data!: Buffer;

  @Column({ name: 'trace_id', type: 'text', nullable: true })
  traceId!: string | null;

  @Column({ name: 'received_at', type: 'timestamptz' })
  receivedAt!: Date;

  @Column({ name: 'died_at', type: 'timestamptz' })
  diedAt!: Date;
}
