import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Artifact, Settings } from '#contracts';

/** What machines of a revision are made from, so that there can be one again long after the last is gone. */
@Entity('fleet')
export class FleetRow {
  @PrimaryColumn({ type: 'text' })
  project!: string;

  @PrimaryColumn({ type: 'text' })
  function!: string;

  @PrimaryColumn({ type: 'text' })
  revision!: string;

  @Column({ type: 'jsonb' })
  artifact!: Artifact;

  @Column({ type: 'jsonb' })
  settings!: Settings;

  /** The machine whose start brought the revision here; who undoes that start undoes the revision. */
  @Column({ name: 'first_machine', type: 'text' })
  firstMachine!: string;
}
