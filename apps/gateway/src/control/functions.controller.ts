import { randomUUID } from 'node:crypto';

import { Controller, Inject, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { ROOM_CONFIG } from '#boot';
import {
  ChangeScale,
  CestxError,
  DeployFunction,
  GetFunction,
  ListFunctions,
  ListRevisions,
  ListScaleDecisions,
  RemoveFunction,
  applyScaleChange,
  buildSettingsSchema,
  eventSettingsSchema,
  scaleSettingsSchema,
  settingsSchema,
} from '#contracts';
import { Messenger, Objects } from '#messaging';

import type { GatewayConfig } from '../gateway.config.ts';
import { acceptUpload } from './accept-upload.ts';
import { accepted } from './accepted.ts';
import { completeUrl } from './complete-url.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

@Controller()
export class FunctionsController {
  private readonly messenger: Messenger;
  private readonly objects: Objects;
  private readonly config: GatewayConfig;

  constructor(messenger: Messenger, objects: Objects, @Inject(ROOM_CONFIG) config: GatewayConfig) {
    this.messenger = messenger;
    this.objects = objects;
    this.config = config;
  }

  @Serves(operations.deployFunction)
  async deploy(
    @Input(operations.deployFunction) { query }: InputOf<typeof operations.deployFunction>,
    @Req() request: FastifyRequest,
  ) {
    const { manifest, sourceDigest } = await acceptUpload(request, {
      objects: this.objects,
      messenger: this.messenger,
      maxUpload: this.config.CESTX_MAX_UPLOAD,
    });
    const deploymentId = randomUUID();
    await this.messenger.send(DeployFunction, deploymentId, {
      deploymentId,
      project: query.project,
      function: manifest.name,
      sourceDigest,
      build: buildSettingsSchema.parse({ ...manifest, ...manifest.build }),
      settings: settingsSchema.parse(manifest),
      scale: scaleSettingsSchema.parse(manifest.scale),
      events: eventSettingsSchema.parse(manifest),
    });
    return accepted(deploymentId, manifest.name, request);
  }

  @Serves(operations.listFunctions)
  async list(@Input(operations.listFunctions) { query }: InputOf<typeof operations.listFunctions>) {
    const page = await this.messenger.ask(ListFunctions, query);
    return { ...page, items: page.items.map((item) => completeUrl(item, this.config.CESTX_PORT)) };
  }

  @Serves(operations.getFunction)
  async get(@Input(operations.getFunction) { params, query }: InputOf<typeof operations.getFunction>) {
    const found = await this.messenger.ask(GetFunction, { project: query.project, function: params.name });
    return completeUrl(found, this.config.CESTX_PORT);
  }

  @Serves(operations.removeFunction)
  async remove(
    @Input(operations.removeFunction) { params, query }: InputOf<typeof operations.removeFunction>,
    @Req() request: FastifyRequest,
  ) {
    const key = { project: query.project, function: params.name };
    await this.messenger.ask(GetFunction, key);
    const deploymentId = randomUUID();
    await this.messenger.send(RemoveFunction, deploymentId, { deploymentId, ...key });
    return accepted(deploymentId, params.name, request);
  }

  @Serves(operations.changeScale)
  async changeScale(
    @Input(operations.changeScale) { params, query, body }: InputOf<typeof operations.changeScale>,
    @Req() request: FastifyRequest,
  ) {
    const key = { project: query.project, function: params.name };
    const { scale } = await this.messenger.ask(GetFunction, key);
    if (!scale) throw new CestxError('conflict', `${params.name} is not live yet; wait for its deployment.`);
    // Said here at once; asked again when it is its turn.
    applyScaleChange(scale, body);
    const deploymentId = randomUUID();
    await this.messenger.send(ChangeScale, deploymentId, { deploymentId, ...key, change: body });
    return accepted(deploymentId, params.name, request);
  }

  @Serves(operations.listScaleDecisions)
  async scaleDecisions(
    @Input(operations.listScaleDecisions) { params, query }: InputOf<typeof operations.listScaleDecisions>,
  ) {
    const key = { project: query.project, function: params.name };
    const { items } = await this.messenger.ask(ListScaleDecisions, { ...key, limit: query.limit });
    if (items.length === 0) await this.messenger.ask(GetFunction, key);
    return { items, nextCursor: null };
  }

  @Serves(operations.listRevisions)
  async revisions(
    @Input(operations.listRevisions) { params, query }: InputOf<typeof operations.listRevisions>,
  ) {
    const key = { project: query.project, function: params.name };
    const page = await this.messenger.ask(ListRevisions, { ...query, ...key });
    if (page.items.length === 0) await this.messenger.ask(GetFunction, key);
    return page;
  }
}
