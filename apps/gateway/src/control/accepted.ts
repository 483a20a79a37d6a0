import type { FastifyRequest } from 'fastify';

import { traceIdOf } from './request-trace.ts';

/** The answer to an order that a deployment carries out: where to see how it goes. */
export function accepted(deploymentId: string, name: string, request: FastifyRequest) {
  const statusUrl = `/v1/deployments/${deploymentId}`;
  return {
    deploymentId,
    function: name,
    statusUrl,
    eventsUrl: `${statusUrl}/events`,
    traceId: traceIdOf(request.raw) ?? null,
  };
}
