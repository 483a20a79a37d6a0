import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

import type { DeliverySettings, TriggerSettings } from '#contracts';

/** A function that events can be handed to. */
@Entity('event_function')
export class EventFunctionRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ name: 'function', type: 'text' })
  function!: string;

  @Column({ type: 'jsonb' })
  delivery!: DeliverySettings;
}

@Entity('trigger')
export class TriggerRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ name: 'function', type: 'text' })
  function!: string;

  @PrimaryColumn({ type: 'text' })
  id!: string;

  @Column({ type: 'jsonb' })
  settings!: TriggerSettings;

  @Column({ type: 'boolean' })
  paused!: boolean;

  /** When a schedule is due next; null for triggers of events, and for schedules that are never due again. */
  @Column({ name: 'next_at', type: 'timestamptz', nullable: true })
  nextAt!: Date | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}
