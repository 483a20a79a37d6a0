import { join } from 'node:path';

import { Module } from '@nestjs/common';

import { defineRoom, ROOM_CONFIG } from '#boot';
import { registryFrom } from '#contracts';

import { AcceptGitSourceQuery } from './accept-git-source.query.ts';
import { AcceptSourceQuery } from './accept-source.query.ts';
import { AddBuildContent1764100000000 } from './add-build-content.migration.ts';
import { AcceptTemplateQuery } from './accept-template.query.ts';
import { AddSourceAcceptedAt1764000000000 } from './add-source-accepted-at.migration.ts';
import { BuildQueue } from './build-queue.ts';
import { BuildSourceHandler } from './build-source.handler.ts';
import { BuildRow } from './build.entity.ts';
import { BuildStore } from './build.store.ts';
import { Builders } from './builders/builders.ts';
import { connectToEngine, DockerBuilder } from './builders/docker.builder.ts';
import { ImageRegistry } from './builders/image-registry.ts';
import { ProcessBuilder } from './builders/process.builder.ts';
import { CheckTemplateHandler } from './check-template.handler.ts';
import { CollectCachesLoop } from './collect-caches.loop.ts';
import { CollectSourcesLoop } from './collect-sources.loop.ts';
import { CreateBuild1763700000000 } from './create-build.migration.ts';
import { CreateTemplate1764200000000 } from './create-template.migration.ts';
import { DeleteTemplateHandler } from './delete-template.handler.ts';
import { DiscardBuildHandler } from './discard-build.handler.ts';
import { GitFetcher } from './git/git-fetcher.ts';
import { RemoveLeftoversLoop } from './remove-leftovers.loop.ts';
import { SourceKeeper } from './source-keeper.ts';
import { SourceReader } from './source-reader.ts';
import { SbomQuery } from './sbom.query.ts';
import { SourceRow, UploadRow } from './source.entity.ts';
import { SourceStore } from './source.store.ts';
import { TemplateResolver } from './template-resolver.ts';
import { TemplateRow } from './template.entity.ts';
import { TemplateStore } from './template.store.ts';
import { templatesConfig, type TemplatesConfig } from './templates.config.ts';
import { TemplatesQuery } from './templates.query.ts';

/** In both spellings, because programs differ in which one they read. */
function proxyVariables(config: TemplatesConfig): Record<string, string> {
  const { HTTP_PROXY, HTTPS_PROXY, NO_PROXY } = config;
  const set = Object.entries({ HTTP_PROXY, HTTPS_PROXY, NO_PROXY }).filter(([, value]) => value !== '');
  return Object.fromEntries(
    set.flatMap(([name, value]) => [
      [name, value],
      [name.toLowerCase(), value],
    ]),
  );
}

function makeBuilders(config: TemplatesConfig): Builders {
  const limits = {
    memory: config.CESTX_BUILD_MEMORY,
    cpu: config.CESTX_BUILD_CPU,
    disk: config.CESTX_BUILD_DISK,
  };
  const proxy = proxyVariables(config);
  const caFile = config.CESTX_BUILD_CA_FILE || config.NODE_EXTRA_CA_CERTS || undefined;
  return new Builders({
    docker: new DockerBuilder({
      host: config.DOCKER_HOST,
      limits,
      caFile,
      proxy,
      images: {
        node: config.CESTX_IMAGE_NODE,
        python: config.CESTX_IMAGE_PYTHON,
        go: config.CESTX_IMAGE_GO,
      },
    }),
    process: new ProcessBuilder({ data: config.CESTX_DATA, limits, caFile, proxy, path: config.PATH }),
  });
}

function makeFetcher(config: TemplatesConfig): GitFetcher {
  return new GitFetcher({
    hosts: { open: config.CESTX_GIT_HOSTS, private: config.CESTX_GIT_PRIVATE_HOSTS },
    folder: join(config.CESTX_DATA, 'git'),
    timeout: config.CESTX_GIT_TIMEOUT,
    maxBytes: config.CESTX_GIT_MAX_SIZE,
    path: config.PATH,
    caFile: config.CESTX_BUILD_CA_FILE || config.NODE_EXTRA_CA_CERTS || undefined,
  });
}

function makeRegistry(config: TemplatesConfig): ImageRegistry {
  return new ImageRegistry(connectToEngine(config.DOCKER_HOST), registryFrom(config));
}

function makeQueue(config: TemplatesConfig): BuildQueue {
  return new BuildQueue({ size: config.CESTX_BUILDS, timeout: config.CESTX_BUILD_TIMEOUT });
}

@Module({
  controllers: [
    AcceptGitSourceQuery,
    AcceptSourceQuery,
    AcceptTemplateQuery,
    BuildSourceHandler,
    CheckTemplateHandler,
    DeleteTemplateHandler,
    DiscardBuildHandler,
    SbomQuery,
    TemplatesQuery,
  ],
  providers: [
    BuildStore,
    SourceKeeper,
    SourceReader,
    SourceStore,
    TemplateResolver,
    TemplateStore,
    RemoveLeftoversLoop,
    CollectCachesLoop,
    CollectSourcesLoop,
    { provide: Builders, useFactory: makeBuilders, inject: [ROOM_CONFIG] },
    { provide: GitFetcher, useFactory: makeFetcher, inject: [ROOM_CONFIG] },
    { provide: ImageRegistry, useFactory: makeRegistry, inject: [ROOM_CONFIG] },
    { provide: BuildQueue, useFactory: makeQueue, inject: [ROOM_CONFIG] },
  ],
})
export class TemplatesModule {}

export const templatesRoom = defineRoom({
  name: 'templates',
  module: TemplatesModule,
  config: templatesConfig,
  entities: [BuildRow, SourceRow, TemplateRow, UploadRow],
  migrations: [
    CreateBuild1763700000000,
    AddSourceAcceptedAt1764000000000,
    AddBuildContent1764100000000,
    CreateTemplate1764200000000,
  ],
});
