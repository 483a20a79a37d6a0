import { randomUUID } from 'node:crypto';

import { Controller, Inject, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { ROOM_CONFIG } from '#boot';
import {
  AcceptTemplate,
  CestxError,
  DeleteTemplate,
  GetTemplate,
  ListTemplates,
  type Template,
} from '#contracts';
import { Messenger, Objects } from '#messaging';

import type { GatewayConfig } from '../gateway.config.ts';
import { acceptSourceAlone } from './accept-upload.ts';
import { carryOut } from './carry-out.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

/** Milliseconds in which a template is deleted, or the folder of one is read. */
const patience = 30_000;

@Controller()
export class TemplatesController {
  private readonly messenger: Messenger;
  private readonly objects: Objects;
  private readonly config: GatewayConfig;

  constructor(messenger: Messenger, objects: Objects, @Inject(ROOM_CONFIG) config: GatewayConfig) {
    this.messenger = messenger;
    this.objects = objects;
    this.config = config;
  }

  @Serves(operations.listTemplates)
  async list(@Input(operations.listTemplates) { query }: InputOf<typeof operations.listTemplates>) {
    return { ...(await this.messenger.ask(ListTemplates, query)), nextCursor: null };
  }

  @Serves(operations.getTemplate)
  get(@Input(operations.getTemplate) { params, query }: InputOf<typeof operations.getTemplate>) {
    return this.messenger.ask(GetTemplate, { ...query, ...params });
  }

  @Serves(operations.createTemplate)
  create(
    @Input(operations.createTemplate) { query }: InputOf<typeof operations.createTemplate>,
    @Req() request: FastifyRequest,
  ) {
    return this.accept(request, query.project, null);
  }

  @Serves(operations.updateTemplate)
  async update(
    @Input(operations.updateTemplate) { params, query }: InputOf<typeof operations.updateTemplate>,
    @Req() request: FastifyRequest,
  ) {
    return this.accept(request, query.project, params.name);
  }

  @Serves(operations.deleteTemplate)
  async delete(
    @Input(operations.deleteTemplate) { params, query }: InputOf<typeof operations.deleteTemplate>,
  ) {
    const key = { ...query, ...params };
    const template = await this.messenger.ask(GetTemplate, key);
    if (template.builtIn) throw new CestxError('conflict', `The template "${params.name}" is always there.`);
    await carryOut(this.messenger, DeleteTemplate, key, patience);
    return template;
  }

  private async accept(request: FastifyRequest, project: string, update: string | null): Promise<Template> {
    const { messenger, objects, config } = this;
    const sourceDigest = await acceptSourceAlone(request, {
      messenger,
      objects,
      maxUpload: config.CESTX_MAX_UPLOAD,
    });
    const order = { versionId: randomUUID(), project, sourceDigest, update };
    return messenger.ask(AcceptTemplate, order, { timeoutMs: patience });
  }
}
