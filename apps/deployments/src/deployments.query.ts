import { Controller } from '@nestjs/common';

import {
  CestxError,
  GetDeployment,
  GetFunction,
  ListFunctions,
  ListRevisions,
  type Deployment,
  type FunctionRecord,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import { AnswerQuery } from '#messaging';

import { DeploymentStore } from './deployment.store.ts';

/** Answers what others ask about functions, revisions and deployments. */
@Controller()
export class DeploymentsQuery {
  readonly #store: DeploymentStore;

  constructor(store: DeploymentStore) {
    this.#store = store;
  }

  @AnswerQuery(GetDeployment)
  async deployment(request: RequestOf<typeof GetDeployment>): Promise<Deployment> {
    const deadline = Date.now() + request.waitMs;
    for (;;) {
      const found = await this.#store.deployment(request.id);
      if (found) return found;
      if (Date.now() >= deadline) throw new CestxError('not-found', `There is no deployment ${request.id}.`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  @AnswerQuery(GetFunction)
  async function(request: RequestOf<typeof GetFunction>): Promise<FunctionRecord> {
    const found = await this.#store.function(request.project, request.function);
    if (!found) throw new CestxError('not-found', `There is no function ${request.function}.`);
    return found;
  }

  @AnswerQuery(ListFunctions)
  async functions(request: RequestOf<typeof ListFunctions>): Promise<ResponseOf<typeof ListFunctions>> {
    const items = await this.#store.functions(request.project, request.limit, request.cursor);
    return { items, nextCursor: items.length === request.limit ? (items.at(-1)?.name ?? null) : null };
  }

  @AnswerQuery(ListRevisions)
  async revisions(request: RequestOf<typeof ListRevisions>): Promise<ResponseOf<typeof ListRevisions>> {
    const offset = Number(request.cursor ?? 0) || 0;
    const rows = await this.#store.revisions(request.project, request.function, request.limit, offset);
    return {
      items: rows.map((row) => ({
        revision: row.revision,
        deploymentId: row.runId,
        sourceDigest: row.sourceDigest,
        template: row.template,
        templateVersion: row.templateVersion,
        state: row.state,
        createdAt: row.createdAt.toISOString(),
      })),
      nextCursor: rows.length === request.limit ? String(offset + rows.length) : null,
    };
  }
}
