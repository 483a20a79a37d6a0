import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Failure, TemplateDefinition } from '#contracts';

/** Builds use the one version that is `ready`; `replaced` ones were, and are kept for what they declared. */
export type TemplateState = 'checking' | 'ready' | 'replaced' | 'refused';

/** One version of a template of one's own. */
@Entity('template')
export class TemplateRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  @Column({ type: 'text' })
  project!: string;

  @Column({ type: 'text' })
  name!: string;

  @Column({ type: 'integer' })
  version!: number;

  @Column({ name: 'source_digest', type: 'text' })
  sourceDigest!: string;

  @Column({ type: 'jsonb' })
  definition!: TemplateDefinition;

  @Column({ type: 'text' })
  state!: TemplateState;

  /** Why it was refused. */
  @Column({ type: 'jsonb', nullable: true })
  error!: Failure | null;

  @Column({ name: 'changed_at', type: 'timestamptz' })
  changedAt!: Date;
}
