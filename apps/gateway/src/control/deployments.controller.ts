import { json as readJson } from 'node:stream/consumers';

import { Controller, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { CancelDeployment, CestxError, GetDeployment, GetSbom } from '#contracts';
import { Messenger, Objects } from '#messaging';

import type { GatewayConfig } from '../gateway.config.ts';
import { accepted } from './accepted.ts';
import { completeUrl } from './complete-url.ts';
import { followDeployment } from './follow-deployment.ts';
import { OpenAnswers } from './open-answers.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

/** Milliseconds to wait for a deployment whose order has not been read yet. */
const waitMs = 2000;
/** Milliseconds in which an artefact is looked into. */
const sbomPatience = 60_000;

@Controller()
export class DeploymentsController {
  private readonly messenger: Messenger;
  private readonly objects: Objects;
  private readonly answers: OpenAnswers;
  private readonly logger: Logger;
  private readonly config: GatewayConfig;

  constructor(
    messenger: Messenger,
    objects: Objects,
    answers: OpenAnswers,
    @Inject(LOGGER) logger: Logger,
    @Inject(ROOM_CONFIG) config: GatewayConfig,
  ) {
    this.config = config;
    this.messenger = messenger;
    this.objects = objects;
    this.answers = answers;
    this.logger = logger;
  }

  @Serves(operations.getDeployment)
  async get(@Input(operations.getDeployment) { params }: InputOf<typeof operations.getDeployment>) {
    const deployment = await this.messenger.ask(GetDeployment, { id: params.id, waitMs });
    return completeUrl(deployment, this.config.CESTX_PORT);
  }

  @Serves(operations.followDeployment)
  async follow(
    @Input(operations.followDeployment) { params }: InputOf<typeof operations.followDeployment>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    // Asked once before the stream begins, so that an unknown id is a plain 404.
    const first = await this.messenger.ask(GetDeployment, { id: params.id, waitMs });
    const answer = this.answers.begin(reply, 'text/event-stream');
    try {
      for await (const deployment of followDeployment(this.messenger, first, answer.signal, () =>
        answer.beat(),
      )) {
        await answer.send(completeUrl(deployment, this.config.CESTX_PORT), { name: 'deployment' });
      }
      answer.end();
    } catch (error) {
      this.logger.warn({ err: error, deployment: params.id }, 'a followed deployment broke off');
      answer.breakOff();
    }
  }

  @Serves(operations.getSbom)
  async sbom(@Input(operations.getSbom) { params }: InputOf<typeof operations.getSbom>) {
    const { object } = await this.messenger.ask(GetSbom, { buildId: params.id }, { timeoutMs: sbomPatience });
    const stored = await this.objects.get(object);
    if (!stored) throw new CestxError('not-found', `There is no build ${params.id} any more.`);
    return await readJson(stored);
  }

  @Serves(operations.cancelDeployment)
  async cancel(
    @Input(operations.cancelDeployment) { params }: InputOf<typeof operations.cancelDeployment>,
    @Req() request: FastifyRequest,
  ) {
    const deployment = await this.messenger.ask(GetDeployment, { id: params.id, waitMs });
    await this.messenger.send(CancelDeployment, params.id, { deploymentId: params.id });
    return accepted(params.id, deployment.function, request);
  }
}
