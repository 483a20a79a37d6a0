import { Controller } from '@nestjs/common';

import { DiscardBuild, type DriverName, type PayloadOf } from '#contracts';
import { HandleCommand, Objects, type Outcome } from '#messaging';

import { BuildQueue } from './build-queue.ts';
import { BuildStore, discarded } from './build.store.ts';
import { Builders } from './builders/builders.ts';
import { contentKey } from './content-key.ts';
import { sbomName } from './object-names.ts';

/** The tombstone comes first: from then on no build of this id starts or is recorded, however late its command comes. */
@Controller()
export class DiscardBuildHandler {
  constructor(
    private readonly builds: BuildStore,
    private readonly builders: Builders,
    private readonly queue: BuildQueue,
    private readonly objects: Objects,
  ) {}

  @HandleCommand(DiscardBuild)
  async handle({ buildId }: PayloadOf<typeof DiscardBuild>): Promise<Outcome<typeof DiscardBuild>> {
    const { driver, project, sourceDigest } = await this.builds.discard(buildId);
    await this.queue.cancel(buildId, discarded());
    if (driver) {
      const key = contentKey({ project, sourceDigest, driver });
      await this.queue.alone(key, () => this.#clear(buildId, driver, project));
    }
    return { done: { buildId } };
  }

  async #clear(buildId: string, driver: DriverName, project: string): Promise<void> {
    const builder = this.builders.of(driver);
    const { artifact = null, template = null } = (await this.builds.find(buildId)) ?? {};
    await builder.clear(buildId, artifact);
    await this.objects.remove(sbomName(buildId));
    if (template === 'image') {
      // What was pulled stays until the disk is needed, and its row with it; what was on the host before is not ours.
      if (artifact?.kind !== 'image' || !artifact.reference) await this.builds.forgetArtifact(buildId);
    } else {
      if (artifact && !(await this.builds.isUsed(artifact))) await builder.remove(artifact);
      await this.builds.forgetArtifact(buildId);
    }
    if (!(await this.builds.hasBuilds(project))) await builder.clearCache(project);
  }
}
