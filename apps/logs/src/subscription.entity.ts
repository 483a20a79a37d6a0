import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A function whose lines are to be kept as long as it lives; or one that was removed a short while ago. */
@Entity('subscription')
export class SubscriptionRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  function!: string;

  @Column({ type: 'text' })
  state!: 'subscribed' | 'removed';

  /** The deployment that subscribed. */
  @Column({ name: 'created_by', type: 'text', nullable: true })
  createdBy!: string | null;

  /** When the function was removed. Lines said until then may still be on their way, and are not to come back. */
  @Column({ name: 'removed_at', type: 'timestamptz', nullable: true })
  removedAt!: Date | null;
}
