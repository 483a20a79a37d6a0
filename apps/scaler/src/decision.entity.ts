import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** Why a function has as many machines as it has; the last ones of each are kept. */
@Entity('scale_decision')
export class DecisionRow {
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  @Column({ type: 'text' })
  project!: string;

  @Column({ type: 'text' })
  function!: string;

  @Column({ type: 'text' })
  revision!: string;

  @Column({ name: 'from_machines', type: 'integer' })
  from!: number;

  @Column({ name: 'to_machines', type: 'integer' })
  to!: number;

  @Column({ type: 'text' })
  metric!: 'concurrency';

  @Column({ type: 'double precision' })
  value!: number;

  @Column({ name: 'panic_value', type: 'double precision' })
  panicValue!: number;

  @Column({ type: 'double precision' })
  target!: number;

  @Column({ type: 'boolean' })
  panic!: boolean;

  @Column({ type: 'text' })
  reason!: string;

  @Column({ name: 'decided_at', type: 'timestamptz' })
  decidedAt!: Date;

  /** What the machines room said when it had done what it could. */
  @Column({ type: 'text', nullable: true })
  outcome!: string | null;
}
