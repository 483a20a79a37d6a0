import type { Component } from './builders/builder.ts';

/** A bill of materials as CycloneDX 1.6 JSON (ecma-international.org, ECMA-424). */
export function writeSbom(of: { name: string; version: string }, components: readonly Component[]): object {
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'cestx' }] },
      component: { 'bom-ref': 'function', type: 'application', ...of },
    },
    components: components.map(({ name, version, purl, licence }) => ({
      'bom-ref': purl,
      type: 'library',
      name,
      version,
      purl,
      ...(licence === undefined ? {} : { licenses: [{ license: { name: licence } }] }),
    })),
  };
}
