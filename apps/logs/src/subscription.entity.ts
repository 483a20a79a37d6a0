import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A function whose lines are to be kept as long as it lives. */
@Entity('subscription')
export class SubscriptionRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  function!: string;

  /** The deployment that subscribed. */
  @Column({ name: 'created_by', type: 'text' })
  createdBy!: string;
}
