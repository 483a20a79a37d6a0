import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

/** A message that is to be published because the transaction it was written in was committed. */
@Entity('outbox')
export class OutboxRow {
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  @Column({ name: 'message_id', type: 'text' })
  messageId!: string;

  @Column({ type: 'text' })
  subject!: string;

  @Column({ type: 'jsonb' })
  headers!: Record<string, string>;

  /** JSON text; empty for the deletion of a key. */
  @Column({ type: 'text' })
  payload!: string;
}

/** A message whose effect was committed, or (for an undone command) must never be. */
@Entity('inbox')
export class InboxRow {
  /** The durable that read the message; empty for commands, which have just one reader. */
  @PrimaryColumn({ type: 'text' })
  handler!: string;

  @PrimaryColumn({ name: 'message_id', type: 'text' })
  messageId!: string;

  @Column({ name: 'settled_at', type: 'timestamptz' })
  settledAt!: Date;
}
