import { z } from 'zod';

import { errorCodes } from '#contracts';

import type { Operation } from './operation.ts';
import { namedSchemas } from './named-schemas.ts';
import { operations } from './operations.ts';

export type JsonSchema = { [key: string]: unknown };

export interface OpenapiOperation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security?: [];
  parameters: { name: string; in: 'path' | 'query'; required: boolean; schema: JsonSchema }[];
  requestBody?: { required: true; content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, { description: string; content: Record<string, { schema?: JsonSchema }> }>;
}

export interface OpenapiDocument {
  openapi: '3.1.0';
  info: { title: string; version: string; description: string };
  security: Record<string, []>[];
  paths: Record<string, Record<string, OpenapiOperation>>;
  components: { securitySchemes: Record<string, JsonSchema>; schemas: Record<string, JsonSchema> };
}

const reference = (name: string) => `#/components/schemas/${name}`;

/** The OpenAPI description of the control plane, made from the same schemas that check what comes in. */
export function openapiDocument(): OpenapiDocument {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(namedSchemas)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: reference, io: 'output' });
  const paths: OpenapiDocument['paths'] = {};
  for (const [operationId, described] of Object.entries(operations)) {
    const path = described.path.replaceAll(/:([A-Za-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [described.method.toLowerCase()]: describe(operationId, described) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'CestX',
      version: '1',
      description:
        'The control plane. Functions themselves are called at /function/<name> or at their hostname.',
    },
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, plain(schema)])),
    },
  };
}

function describe(operationId: string, described: Operation): OpenapiOperation {
  return {
    operationId,
    tags: [described.tag],
    summary: described.summary,
    ...(described.description ? { description: described.description } : {}),
    ...(described.open ? { security: [] as [] } : {}),
    parameters: [...parameters(described.params, 'path'), ...parameters(described.query, 'query')],
    ...(described.body ? { requestBody: jsonBody(described.body) } : {}),
    ...(described.parts ? { requestBody: multipart(described.parts) } : {}),
    responses: {
      [described.status]: {
        description: described.summary,
        content: Object.fromEntries(
          Object.entries(described.answers).map(([type, schema]) => [
            type,
            schema ? { schema: schemaOf(schema) } : {},
          ]),
        ),
      },
      ...problems(described),
    },
  };
}

/** A schema with a name by reference, another in full. */
function schemaOf(schema: z.ZodType): JsonSchema {
  const named = Object.entries(namedSchemas).find(([, known]) => known === schema);
  return named ? { $ref: reference(named[0]) } : plain(z.toJSONSchema(schema, { io: 'output' }));
}

function parameters(schema: z.ZodType, where: 'path' | 'query'): OpenapiOperation['parameters'] {
  const object = plain(z.toJSONSchema(schema, { io: 'input' })) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(object.properties ?? {}).map(([name, property]) => ({
    name,
    in: where,
    required: object.required?.includes(name) ?? false,
    schema: property,
  }));
}

function jsonBody(schema: z.ZodType): NonNullable<OpenapiOperation['requestBody']> {
  const body = plain(z.toJSONSchema(schema, { io: 'input' }));
  return { required: true, content: { 'application/json': { schema: body } } };
}

function multipart(parts: NonNullable<Operation['parts']>): NonNullable<OpenapiOperation['requestBody']> {
  const properties = Object.entries(parts).map(([name, part]) => [
    name,
    {
      type: 'string',
      description: part.description,
      ...(part.binary ? { contentMediaType: 'application/octet-stream' } : {}),
    },
  ]);
  const required = Object.entries(parts).flatMap(([name, part]) => (part.required ? [name] : []));
  return {
    required: true,
    content: {
      'multipart/form-data': {
        schema: { type: 'object', properties: Object.fromEntries(properties), required },
      },
    },
  };
}

/** Codes that share a status stand together. */
function problems(described: Operation): OpenapiOperation['responses'] {
  const codes = described.open ? described.errors : (['unauthenticated', ...described.errors] as const);
  const byStatus = Map.groupBy(codes, (code) => errorCodes[code].http);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      {
        description: same.map((code) => `\`${code}\``).join(', '),
        content: { 'application/problem+json': { schema: { $ref: reference('Problem') } } },
      },
    ]),
  );
}

/** Zod writes these for a document that stands alone. */
function plain(schema: object): JsonSchema {
  const { $schema: _schema, $id: _id, ...rest } = schema as JsonSchema;
  return rest;
}
