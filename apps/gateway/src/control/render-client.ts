import type { JsonSchema, OpenapiDocument, OpenapiOperation } from './openapi.ts';

/** The part of the TypeScript client that follows from the OpenAPI document: its types, and how each call is written. */
export function renderClient(document: OpenapiDocument): string {
  const types = Object.entries(document.components.schemas).map(
    ([name, schema]) => `export type ${name} = ${typeOf(schema)};\n`,
  );
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => renderCall(method, path, operation)),
  );
  return `// Made from the gateway's OpenAPI document by \`node scripts/generate-client.ts\`; not written by hand.

/** How a call is written; \`Answer\` is what a good answer holds. */
export interface ApiCall<Answer> {
  method: string;
  path: string;
  query: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  body?: unknown;
  /** Never set; carries the type. */
  answer?: Answer;
}

${types.join('\n')}
export const api = {
${calls.join('')}};
`;
}

function renderCall(method: string, path: string, operation: OpenapiOperation): string {
  const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
  const inQuery = operation.parameters.filter((parameter) => parameter.in === 'query');
  const body = operation.requestBody?.content['application/json']?.schema;
  const takes = [
    ...inPath.map(({ name, schema }) => `${name}: ${typeOf(schema)}`),
    ...(body ? [`body: ${typeOf(body)}`] : []),
    ...(inQuery.length > 0
      ? [
          `query: { ${inQuery.map(({ name, schema }) => `${name}?: ${typeOf(schema)} | undefined`).join('; ')} } = {}`,
        ]
      : []),
  ];
  const written = path.replaceAll(/\{([A-Za-z]+)\}/g, '${encodeURIComponent($1)}');
  const quote = inPath.length > 0 ? '`' : "'";
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1];
  const schema = Object.values(good?.content ?? {})[0]?.schema;
  return `  /** ${operation.summary}. */
  ${operation.operationId}: (${takes.join(', ')}): ApiCall<${schema ? typeOf(schema) : 'string'}> => ({
    method: '${method.toUpperCase()}',
    path: ${quote}${written}${quote},
    query${inQuery.length > 0 ? '' : ': {}'},${body ? '\n    body,' : ''}
  }),
`;
}

/** A JSON schema as zod writes it, as a TypeScript type. */
function typeOf(schema: JsonSchema): string {
  if (typeof schema['$ref'] === 'string') return schema['$ref'].split('/').at(-1) ?? 'unknown';
  if (Array.isArray(schema['enum'])) return schema['enum'].map(literal).join(' | ');
  if ('const' in schema) return literal(schema['const']);
  for (const key of ['anyOf', 'oneOf']) {
    if (Array.isArray(schema[key])) return schema[key].map((one) => typeOf(one as JsonSchema)).join(' | ');
  }
  if (Array.isArray(schema['type']))
    return schema['type'].map((type) => typeOf({ ...schema, type })).join(' | ');
  switch (schema['type']) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema['type'];
    case 'number':
    case 'integer':
      return 'number';
    case 'array': {
      const item = typeOf((schema['items'] ?? {}) as JsonSchema);
      return item.includes('|') ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      return objectOf(schema);
    default:
      return 'unknown';
  }
}

function objectOf(schema: JsonSchema): string {
  const properties = schema['properties'] as Record<string, JsonSchema> | undefined;
  if (!properties) return `Record<string, ${typeOf((schema['additionalProperties'] ?? {}) as JsonSchema)}>`;
  const required = new Set((schema['required'] ?? []) as string[]);
  const members = Object.entries(properties).map(([name, property]) =>
    required.has(name) ? `${name}: ${typeOf(property)};` : `${name}?: ${typeOf(property)} | undefined;`,
  );
  return `{ ${members.join(' ')} }`;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
