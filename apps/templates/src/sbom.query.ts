import { Readable } from 'node:stream';

import { Controller } from '@nestjs/common';

import { CestxError, GetSbom, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery, Objects } from '#messaging';

import { BuildStore } from './build.store.ts';
import { Builders } from './builders/builders.ts';
import { sbomName } from './object-names.ts';
import { writeSbom } from './write-sbom.ts';

/** The bill of materials of a build: read from its artefact when somebody first asks, and kept as long as the build. */
@Controller()
export class SbomQuery {
  constructor(
    private readonly builds: BuildStore,
    private readonly builders: Builders,
    private readonly objects: Objects,
  ) {}

  @AnswerQuery(GetSbom)
  async sbom({ buildId }: RequestOf<typeof GetSbom>): Promise<ResponseOf<typeof GetSbom>> {
    const row = await this.builds.find(buildId);
    if (row?.state !== 'built' || !row.artifact || !row.driver) {
      throw new CestxError('not-found', `There is no build ${buildId} that was made and is still kept.`);
    }
    const object = sbomName(buildId);
    if (await this.objects.exists(object)) return { object };
    const builder = this.builders.of(row.driver);
    if (!(await builder.exists(row.artifact))) {
      throw new CestxError(
        'not-found',
        'What was built is not on this host any more, so nobody can look into it.',
      );
    }
    const components = await builder.components(row.artifact);
    const sbom = writeSbom({ name: row.function, version: buildId }, components);
    await this.objects.put(object, Readable.from([Buffer.from(JSON.stringify(sbom))]));
    return { object };
  }
}
