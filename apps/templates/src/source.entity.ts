import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A source that was checked and is kept as `sources/<digest>` in the object store. */
@Entity('source')
export class SourceRow {
  @PrimaryColumn({ type: 'text' })
  digest!: string;

  @Column({ type: 'integer' })
  files!: number;

  @Column({ type: 'integer' })
  bytes!: number;

  /** The text of its `function.yaml`. */
  @Column({ type: 'text', nullable: true })
  manifest!: string | null;

  /** The last time the same content was accepted. */
  @Column({ name: 'accepted_at', type: 'timestamptz' })
  acceptedAt!: Date;
}

/** Which source an upload was, for when the same upload is asked about again. */
@Entity('upload')
export class UploadRow {
  @PrimaryColumn({ type: 'text' })
  id!: string;

  @Column({ type: 'text' })
  digest!: string;

  @Column({ name: 'accepted_at', type: 'timestamptz' })
  acceptedAt!: Date;
}
