import { Injectable } from '@nestjs/common';

import { Database } from '#storage';

import { SourceRow, UploadRow } from './source.entity.ts';

@Injectable()
export class SourceStore {
  constructor(private readonly database: Database) {}

  async findByUpload(uploadId: string): Promise<SourceRow | null> {
    const upload = await this.#manager.findOneBy(UploadRow, { id: uploadId });
    return upload && this.#manager.findOneBy(SourceRow, { digest: upload.digest });
  }

  async add(uploadId: string, source: SourceRow): Promise<void> {
    await this.database.transaction(async ({ manager }) => {
      await manager.upsert(SourceRow, source, ['digest']);
      await manager.upsert(UploadRow, { id: uploadId, digest: source.digest, acceptedAt: new Date() }, [
        'id',
      ]);
    });
  }

  async forgetUploads(before: Date): Promise<void> {
    await this.database.dataSource.query('DELETE FROM upload WHERE accepted_at < $1', [before]);
  }

  get #manager() {
    return this.database.dataSource.manager;
  }
}
